//! The kernel description: types, functions and tracepoints of the kernel that scripts are compiled
//! against.

/// A BTF file of the kernel description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BtfId(pub u32);

impl BtfId {
    /// The kernel's own.
    pub const VMLINUX: BtfId = BtfId(0);
    /// Not a file: the C definitions of the script.
    pub const SCRIPT: BtfId = BtfId(u32::MAX);
}
