//! Scripts and their types.
