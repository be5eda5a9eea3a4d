//! Bit-fields: of the kernel by relocations, of the program's own memory by their place.
//!
//! Ensures  where the running kernel has the field decides, and in a word of which size; a field that
//!          no load of 8 bytes covers has no relocation (libbpf's `bpf_core_calc_field_relo`), so it is
//!          found by its place in the struct around it

use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _};

use super::core_types::{self, Subject};
use super::memory::repr;
use super::place::{Remote, Via};
use super::{Lower, Mem};
use crate::fields::Member;
use crate::types::{Int, Ty};

/// Where a bit-field is, on the build kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BitField {
    /// Bits from the start of the struct it is a member of, or from the place it is looked for at.
    pub(crate) offset: u32,
    /// Bits.
    pub(crate) width: u8,
    /// Steps of the access path from that struct.
    pub(crate) steps: usize,
}

impl BitField {
    /// The member, if it is one.
    pub(crate) fn of(member: &Member) -> Option<BitField> {
        let width = member.bits.filter(|width| *width > 0)?;
        Some(BitField { offset: member.bit_offset, width, steps: member.path.len() })
    }

    /// The byte it starts in, and the field from there on.
    pub(crate) fn split(self) -> (u32, BitField) {
        (self.offset / 8, BitField { offset: self.offset % 8, ..self })
    }
}

impl Lower<'_> {
    /// A bit-field outside of the program's memory.
    pub(crate) fn load_bits(&mut self, remote: &Remote, bits: BitField, ty: &Ty) -> ir::Value {
        let fields = self.input.fields;
        let word = |root| core_types::word_of(fields, root, &remote.path);
        let Some((root, bytes)) = remote.root.and_then(|root| Some((root, word(root)?))) else {
            return self.load_bits_by_place(remote, bits, ty);
        };
        let subject = Subject::Field { root, path: remote.path.clone() };
        let via = match remote.via {
            Via::Typed if !core_types::is_word_of_bits(fields, root, &remote.path) => Via::Kernel,
            via => via,
        };
        let word = match via {
            Via::Context | Via::Typed | Via::Stack => {
                self.load_bytes(remote, Int { size: bytes, signed: false })
            }
            Via::Kernel | Via::User => {
                let address = self.remote_address(remote);
                let slot = self.temp(8);
                self.zero(slot, 8);
                let (to, bytes) = (self.addr(slot), self.core(subject.clone(), RelocKind::FieldByteSize));
                self.call_helper(remote.via.helper(), &[to, bytes, address]);
                self.load_u64(slot)
            }
        };
        self.shifted(word, subject, repr(ty).signed)
    }

    /// Whether a relocation can tell where a bit-field is.
    pub(crate) fn has_word(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Field { root, path } => core_types::word_of(self.input.fields, *root, path).is_some(),
            Subject::Type(_) | Subject::Enumerator { .. } | Subject::ContextWord(_) => false,
        }
    }

    /// The field within the word that its relocations are about.
    pub(crate) fn shifted(&mut self, word: ir::Value, subject: Subject, signed: bool) -> ir::Value {
        let left = self.core(subject.clone(), RelocKind::FieldLshiftU64);
        let right = self.core(subject, RelocKind::FieldRshiftU64);
        let top = self.b.ins().ishl(word, left);
        if signed { self.b.ins().sshr(top, right) } else { self.b.ins().ushr(top, right) }
    }

    fn load_bits_by_place(&mut self, remote: &Remote, bits: BitField, ty: &Ty) -> ir::Value {
        let mut around = remote.clone();
        around.path.truncate(around.path.len().saturating_sub(bits.steps));
        let (byte, bits) = bits.split();
        let start = self.remote_address(&around);
        let address = if remote.root.is_some() { self.add_const(start, byte.into()) } else { start };
        let slot = self.temp(16);
        self.probe_read(remote.via.helper(), slot, bits.bytes(), address);
        self.cut_bits(slot, bits, ty)
    }

    /// A bit-field in memory, which starts in its first byte.
    pub(crate) fn cut_bits(&mut self, mem: Mem, bits: BitField, ty: &Ty) -> ir::Value {
        let (offset, width) = (i64::from(bits.offset), i64::from(bits.width));
        let word = self.load_span(mem, bits.bytes().min(8));
        let top = if bits.bytes() <= 8 {
            self.b.ins().ishl_imm_u(word, 64 - offset - width)
        } else {
            let low = self.b.ins().ushr_imm_u(word, offset);
            let last = self.load_span(mem.plus(8), 1);
            let high = self.b.ins().ishl_imm_u(last, 64 - offset);
            let whole = self.b.ins().bor(low, high);
            self.b.ins().ishl_imm_u(whole, 64 - width)
        };
        if repr(ty).signed {
            self.b.ins().sshr_imm_u(top, 64 - width)
        } else {
            self.b.ins().ushr_imm_u(top, 64 - width)
        }
    }

    /// At most 8 bytes as a number, in pieces that are aligned.
    fn load_span(&mut self, mem: Mem, bytes: u32) -> ir::Value {
        let (mut at, mut whole) = (0, None);
        while at < bytes {
            let place = mem.plus(at);
            let chunk = place.chunk(bytes - at);
            let part = self.load_int(place, Int { size: chunk as u8, signed: false });
            let placed = self.b.ins().ishl_imm_u(part, i64::from(at * 8));
            whole = Some(match whole {
                None => placed,
                Some(so_far) => self.b.ins().bor(so_far, placed),
            });
            at += chunk;
        }
        whole.unwrap_or_else(|| self.iconst(0))
    }
}

impl BitField {
    /// Bytes from the first to the last that have a bit of the field.
    fn bytes(self) -> u32 {
        (self.offset + u32::from(self.width)).div_ceil(8)
    }
}
