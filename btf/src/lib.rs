//! Reads, indexes, writes and relocates BTF, the kernel's type format.
//!
//! Input    bytes of `.BTF`, `.BTF.base` and `.BTF.ext`; who found them, and where, is not our business
//! Output   typed views that borrow those bytes, or new bytes
//! Ensures  no I/O, no `unsafe`, no panic on any input; the same calls produce the same bytes
//! Breaks   nothing: a parsed [`Btf`] never changes
//!
//! | file | holds |
//! | --- | --- |
//! | `read.rs`, `check.rs`, `record.rs` | [`Btf`]: header, offset index, split BTF; what is tested; one type |
//! | `kind.rs`, `view.rs` | [`Type`] and the views of each kind |
//! | `size.rs`, `decl.rs`, `define.rs` | size and alignment; a type as C text, also its definition |
//! | `index.rs` | look-up by name, lazily or through [`NameIndex`] |
//! | `write.rs`, `strtab.rs` | [`Builder`] |
//! | `ext.rs` | `.BTF.ext`, both ways |
//! | `core.rs` | CO-RE relocations |
//! | `split.rs` | `.BTF.base`: a module's types moved onto the running kernel |
//!
//! Facts about the format come from the kernel's `Documentation/bpf/btf.rst` and
//! `include/uapi/linux/btf.h`; each file says where libbpf's behaviour is mirrored.
#![forbid(unsafe_code)]

mod check;
pub mod core;
mod decl;
mod define;
mod error;
pub mod ext;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod kind;
mod read;
mod record;
mod size;
mod split;
mod strtab;
mod view;
mod write;

pub use error::Error;
pub use index::{Find, NameIndex};
pub use kind::{IntEncoding, Kind, KindSet, Linkage, StrOff, Type, TypeId};
pub use read::{Btf, Bytes};
pub use split::relocate_split;
pub use view::{Composite, DataSec, Enum, Enumerator, FuncProto, Member, Param, SecVar};
pub use write::Builder;
