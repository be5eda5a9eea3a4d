//! The ELF files of user programs: found by the names scripts use, read piece by piece.
//!
//! Input    names of programs and libraries, files, bytes of untrusted files
//! Output   [`Image`]: symbols, sections, build ids; paths of programs and of their debug files
//! Ensures  no panic on any input, no allocation beyond the file's size; nothing is mapped
//!
//! | file | holds |
//! | --- | --- |
//! | `image.rs` | [`Image`]: headers, sections, the way from addresses to file offsets |
//! | `symbols.rs` | functions by name |
//! | `note.rs` | build ids, and links to debug files |
//! | `find.rs` | the file a script means by `libc` or `bash` |
//! | `debug.rs` | separate debug files |
#![forbid(unsafe_code)]

pub mod debug;
pub mod find;
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod note;
mod symbols;

pub use image::{Error, Image, Section};
pub use note::{BuildId, Link};
pub use symbols::{Symbol, Symbols};
