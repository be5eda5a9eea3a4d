//! Diagnostics about the script: what they hold, how they are shown, and what each code means.
