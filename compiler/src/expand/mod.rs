//! Turns the tree as written into one without preamble, macros and constants.
