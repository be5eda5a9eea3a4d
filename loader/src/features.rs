//! What this kernel can do, found out only when a run depends on it.

use crate::error::Error;
use crate::kernel::types::KernelTypes;
use btf::Kind;
use std::cell::OnceCell;

/// Answers so far.
#[derive(Debug, Default)]
pub struct Features {
    kprobe_multi: OnceCell<bool>,
}

impl Features {
    /// Links of one program to many functions (Linux 5.18 with `CONFIG_FPROBE`). The kernel defines the link's
    /// struct only when it has them, so its types tell without an attempt, which would need privilege.
    pub fn kprobe_multi(&self, kernel: &mut KernelTypes) -> Result<bool, Error> {
        if let Some(&known) = self.kprobe_multi.get() {
            return Ok(known);
        }
        let found = kernel.vmlinux()?.find("bpf_kprobe_multi_link", Kind::Struct).next().is_some();
        Ok(*self.kprobe_multi.get_or_init(|| found))
    }
}
