//! Arguments and results of functions that are reached through BTF: what the object was built for against what this
//! kernel has.
//!
//! Input    the prototype the object assumes (`manifest::Probe::prototype`), the target's, a linked program
//! Output   the program with each read of an argument or result where it is on this kernel, and as wide
//! Ensures  a program never reads another argument than it was built to read: what cannot be had is refused
//!
//! A relocation against an integer type marks an instruction that reads a context word: other loaders resolve it to
//! what the instruction already holds. The object's own prototype says which argument the word is. On this kernel it
//! is found by its name, or without names by its position. An integer that is narrower here has garbage above it
//! (x86-64 psABI, 3.2.3): it is widened out of line, behind the program, as `ld; shl; shr; goto back`. One that is
//! wider here is cut to what the script was compiled for, as C converts.

use super::link::Linked;
use crate::place::{At, Place};
use crate::sys::bpf::Insn;
use btf::core::essential_name;
use btf::{Btf, FuncProto, Type, TypeId};
use std::fmt;

/// A prototype in a BTF, as a program sees it.
#[derive(Debug, Clone, Copy)]
pub struct Prototype<'a> {
    btf: &'a Btf,
    proto: FuncProto<'a>,
    /// Parameters that programs do not see: the first of a raw tracepoint.
    skip: usize,
}

/// Why a word cannot be read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The instruction that reads it.
    pub insn: usize,
    /// `args.fd` or `retval`.
    pub what: String,
    /// Its type at build time.
    pub assumed: String,
    /// What is here instead.
    pub here: String,
}

/// A [`Mismatch`] with what people need to know.
#[derive(Debug)]
pub struct WrongPrototype {
    /// Where the script reads it.
    pub place: Option<Place>,
    /// Which probe.
    pub probe: String,
    /// Release of the kernel.
    pub kernel: String,
    /// What differs.
    pub mismatch: Mismatch,
}

impl fmt::Display for WrongPrototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, probe, kernel, mismatch: Mismatch { what, assumed, here, .. } } = self;
        let text = format!(
            "`{what}` of {probe} was `{assumed}` where the object was built; on this kernel ({kernel}) {here}: rebuild it with this kernel's types (`sondec build` here, or `--btf`)"
        );
        write!(f, "{}", At(place.as_ref(), &text))
    }
}

/// What a context word holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A parameter, and which of its words.
    Param(usize, u32),
    Result,
}

/// Where to read, and how wide the value is if it is narrower than assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    word: u32,
    narrow: Option<Narrow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Narrow {
    bytes: u8,
    signed: bool,
}

const WORD: u64 = 8;
/// Larger structs are passed in memory.
const STRUCT_BYTES_MAX: u64 = 16;
/// Pointers to pointers that are compared.
const DEPTH_MAX: u32 = 4;

const CLASS: u8 = 0x07;
const LDX: u8 = 0x01;
/// `ldx` of 64 bits, shifts of 64 bits by a constant, jump (`instruction-set.rst`).
const LDX64: u8 = 0x79;
const LSH64: u8 = 0x67;
const RSH64: u8 = 0x77;
const ARSH64: u8 = 0xc7;
const JA: u8 = 0x05;

impl<'a> Prototype<'a> {
    /// The prototype with this id, of a function if it is one's.
    pub fn new(btf: &'a Btf, id: TypeId, skip: usize) -> Option<Self> {
        let proto = match btf.ty(btf.resolve(id).ok()?).ok()? {
            Type::FuncProto(proto) => proto,
            Type::Func { proto, .. } | Type::Ptr(proto) => match btf.ty(proto).ok()? {
                Type::FuncProto(proto) => proto,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { btf, proto, skip })
    }

    fn params(&self) -> impl Iterator<Item = btf::Param<'a>> + use<'a> {
        self.proto.params().skip(self.skip)
    }

    /// Words of a parameter (kernel `btf_func_model`).
    fn words(&self, ty: TypeId) -> u32 {
        let bytes = self.btf.size_of(ty).unwrap_or(WORD);
        if bytes > WORD && bytes <= STRUCT_BYTES_MAX { 2 } else { 1 }
    }

    /// First word of a parameter; of the result if there are no more.
    fn start(&self, param: usize) -> u32 {
        self.params().take(param).map(|param| self.words(param.ty)).sum()
    }

    fn slot(&self, word: u32) -> Option<Slot> {
        let mut start = 0;
        for (index, param) in self.params().enumerate() {
            let words = self.words(param.ty);
            if word < start + words {
                return Some(Slot::Param(index, word - start));
            }
            start += words;
        }
        (word == start).then_some(Slot::Result)
    }

    fn text(&self, ty: TypeId, name: &str) -> String {
        self.btf.decl(ty, name).to_string()
    }

    /// The whole prototype as C text.
    fn signature(&self) -> String {
        let params: Vec<String> = self.params().map(|param| self.text(param.ty, param.name)).collect();
        format!("{} ({})", self.text(self.proto.ret(), ""), params.join(", "))
    }

    /// Whether `other` is the same as far as programs can tell.
    pub fn is_same(&self, other: &Self) -> bool {
        // One that is wider, or follows a pointer that the other does not, fits one way only.
        let fits = |a: &Self, x, b: &Self, y| fit(a.btf, x, b.btf, y) == Fit::Same;
        let same = |x, y| fits(self, x, other, y) && fits(other, y, self, x);
        self.params().count() == other.params().count()
            && self.params().zip(other.params()).all(|(a, b)| a.name == b.name && same(a.ty, b.ty))
            && same(self.proto.ret(), other.proto.ret())
    }

    /// Where the target has the parameter: by name, or at the same place if names say nothing.
    fn find(&self, index: usize, target: &Self) -> Option<usize> {
        let wanted = self.params().nth(index)?;
        let named = |(_, param): &(usize, btf::Param<'_>)| param.name == wanted.name;
        let has_names = |of: &Self| of.params().all(|param| !param.name.is_empty());
        if let (false, Some((at, _))) = (wanted.name.is_empty(), target.params().enumerate().find(named)) {
            return Some(at);
        }
        // Renamed: all types are as they were.
        let types =
            |(a, b): (btf::Param<'_>, btf::Param<'_>)| fit(self.btf, a.ty, target.btf, b.ty) == Fit::Same;
        let same_types =
            self.params().count() == target.params().count() && self.params().zip(target.params()).all(types);
        let by_place = same_types || !has_names(self) || !has_names(target);
        (by_place && index < target.params().count()).then_some(index)
    }

    fn read(&self, slot: Slot, target: &Self) -> Result<Read, String> {
        let (from, to, word) = match slot {
            Slot::Result => (self.proto.ret(), target.proto.ret(), target.start(usize::MAX)),
            Slot::Param(index, part) => {
                let Some(at) = self.find(index, target) else {
                    return Err(format!("the function is `{}`", target.signature()));
                };
                let ty = |of: &Self, at| of.params().nth(at).map_or(TypeId::VOID, |param| param.ty);
                (ty(self, index), ty(target, at), target.start(at) + part)
            }
        };
        match fit(self.btf, from, target.btf, to) {
            Fit::Same => Ok(Read { word, narrow: None }),
            Fit::Narrow(narrow) => Ok(Read { word, narrow: Some(narrow) }),
            Fit::Other => Err(match target.btf.resolve(to) {
                Ok(TypeId::VOID) => "the function returns nothing".to_owned(),
                _ => format!("it is `{}`", target.text(to, "")),
            }),
        }
    }

    /// What a word is called in the script, and its type.
    fn describe(&self, slot: Slot) -> (String, String) {
        match slot {
            Slot::Result => ("retval".to_owned(), self.text(self.proto.ret(), "")),
            Slot::Param(index, _) => {
                let param = self.params().nth(index);
                let name = param.map_or("", |param| param.name);
                (format!("args.{name}"), param.map_or_else(String::new, |param| self.text(param.ty, "")))
            }
        }
    }
}

/// How a type of the target stands to the one assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Read alike.
    Same,
    /// An integer with fewer bytes.
    Narrow(Narrow),
    /// Another kind of thing.
    Other,
}

fn fit(local: &Btf, from: TypeId, target: &Btf, to: TypeId) -> Fit {
    let (Ok(from), Ok(to)) = (resolved(local, from), resolved(target, to)) else { return Fit::Other };
    if let (Some((a, _)), Some((b, signed))) = (integer(&from), integer(&to)) {
        let narrow = || u8::try_from(b).map_or(Fit::Other, |bytes| Fit::Narrow(Narrow { bytes, signed }));
        return if b < a { narrow() } else { Fit::Same };
    }
    let same = match (&from, &to) {
        (Type::Void, Type::Void) => true,
        (Type::Ptr(a), Type::Ptr(b)) => pointees_fit(local, *a, target, *b, DEPTH_MAX),
        (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
            same_name(a.name(), b.name()) && a.size() == b.size()
        }
        (Type::Float { size: a, .. }, Type::Float { size: b, .. }) => a == b,
        _ => false,
    };
    if same { Fit::Same } else { Fit::Other }
}

fn resolved(btf: &Btf, id: TypeId) -> Result<Type<'_>, btf::Error> {
    btf.ty(btf.resolve(id)?)
}

fn integer(ty: &Type<'_>) -> Option<(u32, bool)> {
    match ty {
        Type::Int { size, encoding, .. } => Some((*size, encoding.signed)),
        Type::Enum(e) => Some((e.size(), e.signed())),
        _ => None,
    }
}

fn same_name(a: &str, b: &str) -> bool {
    essential_name(a) == essential_name(b)
}

/// Whether what was built for one pointer may follow the other. `void *` was never followed.
fn pointees_fit(local: &Btf, from: TypeId, target: &Btf, to: TypeId, depth: u32) -> bool {
    let (Ok(from), Ok(to)) = (resolved(local, from), resolved(target, to)) else { return false };
    match (&from, &to) {
        (Type::Void, _) | (Type::FuncProto(_), Type::FuncProto(_)) => true,
        (Type::Ptr(a), Type::Ptr(b)) => depth == 0 || pointees_fit(local, *a, target, *b, depth - 1),
        (Type::Struct(_) | Type::Union(_) | Type::Fwd { .. }, _) => {
            let kind = |ty: &Type<'_>| match ty {
                Type::Struct(_) | Type::Fwd { is_union: false, .. } => Some(false),
                Type::Union(_) | Type::Fwd { is_union: true, .. } => Some(true),
                _ => None,
            };
            kind(&from) == kind(&to) && same_name(from.name(), to.name())
        }
        _ => match (integer(&from), integer(&to)) {
            (Some((a, _)), Some((b, _))) => a == b,
            _ => false,
        },
    }
}

/// Moves a program's reads of context words to where they are in `target`.
///
/// # Errors
/// For a word that has no counterpart.
pub fn adapt(linked: &mut Linked, assumed: &Prototype<'_>, target: &Prototype<'_>) -> Result<(), Mismatch> {
    for at in std::mem::take(&mut linked.context_reads) {
        let Some(&insn) = linked.insns.get(at) else { continue };
        let is_load = insn.code & CLASS == LDX;
        let word = if is_load { i32::from(insn.off) / 8 } else { insn.imm };
        let slot = u32::try_from(word).ok().and_then(|word| assumed.slot(word));
        let fail = |slot: Option<Slot>, here: String| {
            let (what, assumed) = slot.map_or_else(Default::default, |slot| assumed.describe(slot));
            Mismatch { insn: at, what, assumed, here }
        };
        let Some(slot) = slot else {
            return Err(fail(None, "the object's prototype has no such argument".into()));
        };
        let read = assumed.read(slot, target).map_err(|here| fail(Some(slot), here))?;
        place(&mut linked.insns, at, is_load, read)
            .ok_or_else(|| fail(Some(slot), "the program is too long to adapt it".into()))?;
    }
    Ok(())
}

/// Rewrites one read; `None` if what it needs does not fit.
fn place(insns: &mut Vec<Insn>, at: usize, is_load: bool, read: Read) -> Option<()> {
    let end = insns.len();
    let insn = insns.get_mut(at)?;
    if is_load {
        insn.off = i16::try_from(read.word * 8).ok()?;
    } else {
        insn.imm = i32::try_from(read.word).ok()?;
    }
    let Some(narrow) = read.narrow else { return Some(()) };
    let load = *insn;
    // Words read by a helper are pointers; and only a load has a register to widen.
    let dst = is_load.then_some(load.regs & 0x0f)?;
    *insn = Insn { code: JA, off: distance(at, end)?, ..Insn::default() };
    insns.push(Insn { code: LDX64, ..load });
    let mut shift = |code, bytes: u8| {
        let imm = 64 - 8 * i32::from(bytes);
        insns.push(Insn { code: LSH64, regs: dst, off: 0, imm });
        insns.push(Insn { code, regs: dst, off: 0, imm });
    };
    shift(if narrow.signed { ARSH64 } else { RSH64 }, narrow.bytes);
    let loaded = load_bytes(load.code);
    if loaded < 8 {
        shift(RSH64, loaded);
    }
    let back = insns.len();
    insns.push(Insn { code: JA, off: distance(back, at + 1)?, ..Insn::default() });
    Some(())
}

fn load_bytes(code: u8) -> u8 {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

/// The offset of a jump.
fn distance(from: usize, to: usize) -> Option<i16> {
    let distance = i64::try_from(to).ok()? - i64::try_from(from).ok()? - 1;
    i16::try_from(distance).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::{Builder, IntEncoding, Param};

    /// Types by short names: `i4` and `u8` are integers, `*x` a pointer to struct x, `v` void, `x:16` a struct.
    fn ty(b: &mut Builder, text: &str) -> TypeId {
        let bytes = |text: &str| text.parse().expect("a size");
        match text.split_at(1) {
            ("v", "") => TypeId::VOID,
            ("i", size) => {
                b.add_int(text, bytes(size), IntEncoding { signed: true, ..IntEncoding::default() })
            }
            ("u", size) => b.add_int(text, bytes(size), IntEncoding::default()),
            ("*", "") => b.add_ptr(TypeId::VOID),
            ("*", name) => {
                let to = b.add_fwd(name, false);
                b.add_ptr(to)
            }
            _ => {
                let (name, size) = text.split_once(':').expect("a struct with its size");
                b.add_struct(name, bytes(size), &[])
            }
        }
    }

    /// A prototype such as `i4 fd=i4 file=*file`: the result, then parameters.
    fn prototype(text: &str) -> (Btf, TypeId) {
        let mut b = Builder::new();
        let mut words = text.split(' ');
        let ret = ty(&mut b, words.next().expect("a result"));
        let params: Vec<(&str, &str)> =
            words.map(|word| word.split_once('=').expect("a parameter")).collect();
        let params: Vec<Param<'_>> =
            params.iter().map(|(name, of)| Param { name, ty: ty(&mut b, of) }).collect();
        let id = b.add_func_proto(ret, &params);
        (Btf::from_vec(b.finish().expect("small")).expect("valid"), id)
    }

    /// `r3 = *(u64 *)(r1 + 8 * word)`, then exit.
    fn program(word: i16) -> Linked {
        let load = Insn { code: LDX64, regs: 0x13, off: 8 * word, imm: 0 };
        let exit = Insn { code: 0x95, ..Insn::default() };
        Linked { insns: vec![load, exit], context_reads: vec![0], ..Linked::default() }
    }

    /// The program after it was adapted, or what differs.
    fn adapted(word: i16, built: &str, here: &str) -> Result<Vec<Insn>, String> {
        let ((local, built), (target, here)) = (prototype(built), prototype(here));
        let assumed = Prototype::new(&local, built, 0).expect("a prototype");
        let actual = Prototype::new(&target, here, 0).expect("a prototype");
        let mut linked = program(word);
        match adapt(&mut linked, &assumed, &actual) {
            Ok(()) => Ok(linked.insns),
            Err(Mismatch { what, assumed, here, .. }) => Err(format!("{what} was {assumed}: {here}")),
        }
    }

    fn moved(word: i16, built: &str, here: &str, to: i16) {
        assert_eq!(adapted(word, built, here), Ok(program(to).insns), "{built} | {here}");
    }

    fn refused(word: i16, built: &str, here: &str, why: &str) {
        assert_eq!(adapted(word, built, here), Err(why.to_owned()), "{built} | {here}");
    }

    #[test]
    fn arguments_are_found_by_name() {
        moved(1, "i4 a=*x b=i4", "i4 a=*x b=i4", 1);
        moved(1, "i4 a=*x b=i4", "i4 b=i4 a=*x", 0);
        moved(0, "i4 a=*x", "i4 new=i8 a=*x", 1);
        moved(0, "i4 a=*x___old", "i4 a=*x", 0);
        moved(0, "i4 a=*", "i4 a=*x", 0);
        // A struct in two registers, before and as the argument.
        moved(2, "i4 s=s:16 a=*x", "i4 a=*x", 0);
        moved(1, "i4 s=s:16", "i4 a=i4 s=s:16", 2);
        // The result follows the arguments.
        moved(1, "i4 a=i4", "i4 a=i4 b=i4 s=s:16", 4);
    }

    #[test]
    fn renamed_arguments_keep_their_place_if_all_types_do() {
        moved(1, "i4 a=*x b=i4", "i4 a=*x c=i4", 1);
        refused(
            1,
            "i4 a=*x b=i4",
            "i4 a=*x c=i4 d=i4",
            "args.b was i4: the function is `i4 (struct x *a, i4 c, i4 d)`",
        );
        refused(0, "i4 a=*x", "i4", "args.a was struct x *: the function is `i4 ()`");
        // Raw tracepoints have no names.
        moved(1, "v a=*x b=i4", "v =*x =i4 =i4", 1);
        refused(1, "v a=*x b=i4", "v =*x =*y", "args.b was i4: it is `struct y *`");
    }

    #[test]
    fn what_cannot_be_read_alike_is_refused() {
        refused(0, "i4 a=*x", "i4 a=*y", "args.a was struct x *: it is `struct y *`");
        refused(0, "i4 a=*x", "i4 a=*", "args.a was struct x *: it is `void *`");
        refused(0, "i4 a=*x", "i4 a=u8", "args.a was struct x *: it is `u8`");
        refused(0, "i4 a=u8", "i4 a=*x", "args.a was u8: it is `struct x *`");
        refused(0, "i4 s=s:16", "i4 s=s:8", "args.s was struct s: it is `struct s`");
        refused(0, "i4", "v", "retval was i4: the function returns nothing");
        refused(5, "i4", "i4", " was : the object's prototype has no such argument");
    }

    #[test]
    fn wider_integers_need_nothing() {
        moved(0, "i4", "i8", 0);
        moved(0, "u4 a=u4", "i8 a=i4", 0);
    }

    /// Runs the few instructions that a read may become.
    fn run(insns: &[Insn], context: &[u64]) -> u64 {
        let (mut at, mut value, mut steps) = (0, 0_u64, 0);
        loop {
            let insn = insns[at];
            steps += 1;
            assert!(steps < 20, "no end");
            at += 1;
            match insn.code {
                LDX64 => value = context[usize::try_from(insn.off).expect("positive") / 8],
                LSH64 => value <<= insn.imm,
                RSH64 => value >>= insn.imm,
                ARSH64 => value = (value.cast_signed() >> insn.imm).cast_unsigned(),
                JA => at = at.checked_add_signed(insn.off.into()).expect("in range"),
                _ => return value,
            }
        }
    }

    #[test]
    fn narrower_integers_are_widened() {
        let check = |built: &str, here: &str, word: u64, expected: i64| {
            let insns = adapted(0, built, here).expect("fits");
            assert_eq!(run(&insns, &[word]).cast_signed(), expected, "{built} | {here}");
        };
        let minus_two = 0xdead_beef_ffff_fffe;
        check("i8", "i4", minus_two, -2);
        check("i8", "u4", minus_two, 0xffff_fffe);
        check("u8", "i2", minus_two, -2);
        check("u8", "u1", minus_two, 0xfe);
    }

    #[test]
    fn a_cut_load_stays_cut() {
        let mut linked = program(0);
        linked.insns[0].code = 0x61; // u32
        let ((local, built), (target, here)) = (prototype("u4"), prototype("i1"));
        let assumed = Prototype::new(&local, built, 0).expect("a prototype");
        let actual = Prototype::new(&target, here, 0).expect("a prototype");
        assert_eq!(adapt(&mut linked, &assumed, &actual), Ok(()));
        assert_eq!(run(&linked.insns, &[0xfe]), 0xffff_fffe);
    }
}
