//! Builds a `.BTF` section.
//!
//! Input    types in any order; an id may be used before its type is added (see `reserve_struct`)
//! Output   bytes that the kernel, libbpf and `read.rs` accept
//! Ensures  deterministic: ids and strings are numbered in the order of the calls. Equal types get
//!          equal ids, except variables, functions, sections and declaration tags, which are
//!          symbols and not shapes.
//! Breaks   the first limit of the format that a call oversteps is reported by `finish`
//!
//! Layouts: kernel `Documentation/bpf/btf.rst`, section 2.2. The kernel's naming rules
//! (`kernel/bpf/btf.c`, `btf_name_valid_identifier`) are the caller's to keep.

use std::collections::HashMap;
use std::sync::Arc;

use crate::strtab::StringTable;
use crate::{Btf, Enumerator, Error, IntEncoding, Kind, Linkage, Member, Param, SecVar, StrOff, TypeId};

/// `BTF_MAX_VLEN`: members, values, parameters or variables of one type.
const VLEN_MAX: usize = 0xffff;
/// `BTF_MAX_TYPE` and `BTF_MAX_NAME_OFFSET`: the kernel refuses more.
const TYPES_MAX: usize = 0xf_ffff;
const STRING_BYTES_MAX: usize = 0xff_ffff;

/// A BTF under construction.
#[derive(Debug, Clone)]
pub struct Builder {
    strings: StringTable,
    first_id: u32,
    /// Encoded type of id `first_id + index`.
    types: Vec<Vec<u8>>,
    by_shape: HashMap<Vec<u8>, TypeId>,
    overstepped: Option<Error>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// `info` word and the two words around it; the records behind them are pushed afterwards.
struct Encoder(Vec<u8>);

impl Encoder {
    fn new(name: StrOff, kind: Kind, vlen: usize, kind_flag: bool, word: u32) -> Self {
        // `Builder` has tested the count; a masked one only reaches bytes that `finish` withholds.
        let vlen = (vlen & VLEN_MAX) as u32;
        let info = u32::from(kind_flag) << 31 | (kind as u32) << 24 | vlen;
        Self(Vec::new()).words(&[name.0, info, word])
    }

    fn words(mut self, words: &[u32]) -> Self {
        self.0.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self
    }
}

impl Builder {
    /// An empty BTF: only `void` and the empty string.
    pub fn new() -> Self {
        Self {
            strings: StringTable::new(),
            first_id: 1,
            types: Vec::new(),
            by_shape: HashMap::new(),
            overstepped: None,
        }
    }

    /// An empty split BTF: ids and strings continue those of `base`, whose ids may be used and whose
    /// strings are. Types are not looked for in the base.
    pub fn split(base: Arc<Btf>) -> Self {
        Self { first_id: base.end_id(), strings: StringTable::following(base), ..Self::new() }
    }

    /// Offset of a string, added if new. `.BTF.ext` uses it for file names, source lines, section
    /// names and access strings.
    pub fn str_off(&mut self, text: &str) -> StrOff {
        self.strings.add(text)
    }

    /// Number of types so far, without `void`.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is no type yet.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    fn overstep(&mut self, what: &'static str) {
        self.overstepped.get_or_insert(Error::TooMany(what));
    }

    fn count(&mut self, len: usize, what: &'static str) -> usize {
        if len > VLEN_MAX {
            self.overstep(what);
        }
        len
    }

    /// Adds a type that is a symbol: always a new id.
    fn push(&mut self, encoded: Vec<u8>) -> TypeId {
        let index = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        self.types.push(encoded);
        TypeId(self.first_id.saturating_add(index))
    }

    /// Adds a type that is a shape: an equal one is used again.
    fn intern(&mut self, Encoder(encoded): Encoder) -> TypeId {
        if let Some(&id) = self.by_shape.get(&encoded) {
            return id;
        }
        let id = self.push(encoded.clone());
        self.by_shape.insert(encoded, id);
        id
    }

    /// From here on an equal type gets an id of its own: what is known of this one does not hold for it.
    pub fn keep_apart(&mut self, id: TypeId) {
        let index = id.0.checked_sub(self.first_id).and_then(|index| usize::try_from(index).ok());
        if let Some(encoded) = index.and_then(|index| self.types.get(index)) {
            self.by_shape.remove(encoded);
        }
    }

    fn reference(&mut self, name: &str, kind: Kind, ty: TypeId) -> TypeId {
        let name = self.str_off(name);
        self.intern(Encoder::new(name, kind, 0, false, ty.0))
    }

    /// Integer of `size` bytes that uses all its bits. The kernel takes only one property of three
    /// (`btf_int_check_meta`), so the one that changes values most is written: bool, signed, char.
    pub fn add_int(&mut self, name: &str, size: u32, encoding: IntEncoding) -> TypeId {
        let name = self.str_off(name);
        let flags = match encoding {
            IntEncoding { bool: true, .. } => 4,
            IntEncoding { signed: true, .. } => 1,
            IntEncoding { char: true, .. } => 2,
            IntEncoding { .. } => 0,
        };
        let data = flags << 24 | (size.saturating_mul(8) & 0xff);
        if size > 16 {
            self.overstep("bytes in an integer");
        }
        self.intern(Encoder::new(name, Kind::Int, 0, false, size).words(&[data]))
    }

    /// Floating-point number of `size` bytes.
    pub fn add_float(&mut self, name: &str, size: u32) -> TypeId {
        let name = self.str_off(name);
        self.intern(Encoder::new(name, Kind::Float, 0, false, size))
    }

    /// Pointer to `ty`.
    pub fn add_ptr(&mut self, ty: TypeId) -> TypeId {
        self.reference("", Kind::Ptr, ty)
    }

    /// `elem [len]`; `index` is any integer type.
    pub fn add_array(&mut self, elem: TypeId, index: TypeId, len: u32) -> TypeId {
        self.intern(Encoder::new(StrOff(0), Kind::Array, 0, false, 0).words(&[elem.0, index.0, len]))
    }

    /// Struct with all its members.
    pub fn add_struct(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> TypeId {
        let encoded = self.encode_composite(Kind::Struct, name, size, members);
        self.intern(encoded)
    }

    /// Union with all its members.
    pub fn add_union(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> TypeId {
        let encoded = self.encode_composite(Kind::Union, name, size, members);
        self.intern(encoded)
    }

    /// Id for a struct that refers to itself, to be given to [`Builder::set_struct`] later. One that
    /// is never set becomes a forward declaration.
    pub fn reserve_struct(&mut self, name: &str) -> TypeId {
        self.reserve(name, false)
    }

    /// [`Builder::reserve_struct`] for [`Builder::set_union`].
    pub fn reserve_union(&mut self, name: &str) -> TypeId {
        self.reserve(name, true)
    }

    fn reserve(&mut self, name: &str, is_union: bool) -> TypeId {
        let name = self.str_off(name);
        self.push(Encoder::new(name, Kind::Fwd, 0, is_union, 0).0)
    }

    /// Fills a struct reserved before.
    ///
    /// # Panics
    /// If `id` is not this builder's: the caller mixed up two builders.
    pub fn set_struct(&mut self, id: TypeId, name: &str, size: u32, members: &[Member<'_>]) {
        let encoded = self.encode_composite(Kind::Struct, name, size, members);
        self.set(id, encoded);
    }

    /// Fills a union reserved before.
    ///
    /// # Panics
    /// As [`Builder::set_struct`].
    pub fn set_union(&mut self, id: TypeId, name: &str, size: u32, members: &[Member<'_>]) {
        let encoded = self.encode_composite(Kind::Union, name, size, members);
        self.set(id, encoded);
    }

    fn set(&mut self, id: TypeId, Encoder(encoded): Encoder) {
        let index = id.0.checked_sub(self.first_id).and_then(|index| usize::try_from(index).ok());
        let slot = index.and_then(|index| self.types.get_mut(index));
        let slot = slot.expect("reserved ids come from the same builder");
        *slot = encoded;
    }

    fn encode_composite(&mut self, kind: Kind, name: &str, size: u32, members: &[Member<'_>]) -> Encoder {
        let name = self.str_off(name);
        let vlen = self.count(members.len(), "members in a struct");
        let kind_flag = members.iter().any(|member| member.bitfield_bits.is_some());
        if kind_flag && members.iter().any(|member| member.bit_offset > 0xff_ffff) {
            self.overstep("bits in a struct with bit-fields");
        }
        members.iter().fold(Encoder::new(name, kind, vlen, kind_flag, size), |encoder, member| {
            let width = u32::from(member.bitfield_bits.unwrap_or(0)) << 24;
            encoder.words(&[self.strings.add(member.name).0, member.ty.0, member.bit_offset | width])
        })
    }

    /// Enum whose values fit 32 bits.
    pub fn add_enum(&mut self, name: &str, size: u32, signed: bool, values: &[Enumerator<'_>]) -> TypeId {
        let name = self.str_off(name);
        let vlen = self.count(values.len(), "values in an enum");
        let head = Encoder::new(name, Kind::Enum, vlen, signed, size);
        let encoded = values.iter().fold(head, |encoder, &Enumerator { name, value }| {
            // The upper half only repeats the sign.
            encoder.words(&[self.strings.add(name).0, value as u32])
        });
        self.intern(encoded)
    }

    /// Enum with 64-bit values; kernels before 6.0 do not know it.
    pub fn add_enum64(&mut self, name: &str, size: u32, signed: bool, values: &[Enumerator<'_>]) -> TypeId {
        let name = self.str_off(name);
        let vlen = self.count(values.len(), "values in an enum");
        let head = Encoder::new(name, Kind::Enum64, vlen, signed, size);
        let encoded = values.iter().fold(head, |encoder, &Enumerator { name, value }| {
            encoder.words(&[self.strings.add(name).0, value as u32, (value >> 32) as u32])
        });
        self.intern(encoded)
    }

    /// `struct name;` or `union name;`.
    pub fn add_fwd(&mut self, name: &str, is_union: bool) -> TypeId {
        let name = self.str_off(name);
        self.intern(Encoder::new(name, Kind::Fwd, 0, is_union, 0))
    }

    /// `typedef ty name`.
    pub fn add_typedef(&mut self, name: &str, ty: TypeId) -> TypeId {
        self.reference(name, Kind::Typedef, ty)
    }

    /// `const ty`.
    pub fn add_const(&mut self, ty: TypeId) -> TypeId {
        self.reference("", Kind::Const, ty)
    }

    /// `volatile ty`.
    pub fn add_volatile(&mut self, ty: TypeId) -> TypeId {
        self.reference("", Kind::Volatile, ty)
    }

    /// `restrict ty`.
    pub fn add_restrict(&mut self, ty: TypeId) -> TypeId {
        self.reference("", Kind::Restrict, ty)
    }

    /// `ty` with a BTF type tag such as `user`; kernels before 5.17 do not know it.
    pub fn add_type_tag(&mut self, name: &str, ty: TypeId) -> TypeId {
        self.reference(name, Kind::TypeTag, ty)
    }

    /// BTF declaration tag on `ty`, or on its member or parameter `component_idx`.
    pub fn add_decl_tag(&mut self, name: &str, ty: TypeId, component_idx: Option<u32>) -> TypeId {
        let name = self.str_off(name);
        let component = component_idx.unwrap_or(u32::MAX);
        self.push(Encoder::new(name, Kind::DeclTag, 0, false, ty.0).words(&[component]).0)
    }

    /// Prototype; a last parameter without name and type is `...`.
    pub fn add_func_proto(&mut self, ret: TypeId, params: &[Param<'_>]) -> TypeId {
        let vlen = self.count(params.len(), "parameters in a function");
        let head = Encoder::new(StrOff(0), Kind::FuncProto, vlen, false, ret.0);
        let encoded = params
            .iter()
            .fold(head, |encoder, param| encoder.words(&[self.strings.add(param.name).0, param.ty.0]));
        self.intern(encoded)
    }

    /// Function. The kernel wants every parameter of its prototype named.
    pub fn add_func(&mut self, name: &str, proto: TypeId, linkage: Linkage) -> TypeId {
        let name = self.str_off(name);
        self.push(Encoder::new(name, Kind::Func, linkage as usize, false, proto.0).0)
    }

    /// Variable.
    pub fn add_var(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> TypeId {
        let name = self.str_off(name);
        self.push(Encoder::new(name, Kind::Var, 0, false, ty.0).words(&[linkage as u32]).0)
    }

    /// ELF section with its variables, which libbpf wants sorted by offset.
    pub fn add_datasec(&mut self, name: &str, size: u32, vars: &[SecVar]) -> TypeId {
        let name = self.str_off(name);
        let vlen = self.count(vars.len(), "variables in a section");
        let head = Encoder::new(name, Kind::DataSec, vlen, false, size);
        let Encoder(encoded) =
            vars.iter().fold(head, |encoder, var| encoder.words(&[var.ty.0, var.offset, var.size]));
        self.push(encoded)
    }

    /// The finished section.
    ///
    /// # Errors
    /// [`Error::TooMany`] when a call has overstepped a limit of the format.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        if self.types.len() > TYPES_MAX {
            self.overstep("types");
        }
        if self.strings.as_bytes().len() > STRING_BYTES_MAX {
            self.overstep("strings");
        }
        if let Some(error) = self.overstepped {
            return Err(error);
        }
        let type_bytes: usize = self.types.iter().map(Vec::len).sum();
        let type_len = u32::try_from(type_bytes).map_err(|_| Error::TooMany("type bytes"))?;
        let strings = self.strings.as_bytes();
        // Tested against `STRING_BYTES_MAX` above.
        let str_len = strings.len() as u32;
        Ok(file(type_len, self.types.iter().map(Vec::as_slice), str_len, strings))
    }
}

/// A header of 24 bytes, types, strings.
pub(crate) fn file<'a>(
    type_len: u32,
    types: impl Iterator<Item = &'a [u8]>,
    str_len: u32,
    strings: &[u8],
) -> Vec<u8> {
    let magic_version_flags = 0x0001_eb9f;
    let header = [magic_version_flags, 24, 0, type_len, type_len, str_len];
    let mut out: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    types.for_each(|bytes| out.extend_from_slice(bytes));
    out.extend_from_slice(strings);
    out
}

#[cfg(test)]
mod tests {
    use crate::{Btf, Builder, Error, IntEncoding, Linkage, Member, SecVar, Type, TypeId};

    #[test]
    fn equal_shapes_share_an_id_and_symbols_do_not() {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding::default());
        let ptr = b.add_ptr(int);
        assert_eq!(b.add_int("int", 4, IntEncoding::default()), int);
        assert_eq!(b.add_ptr(int), ptr);
        assert_ne!(b.add_const(int), ptr);
        assert_ne!(b.add_typedef("a", int), b.add_typedef("b", int));
        let field = Member { name: "a", ty: int, bit_offset: 0, bitfield_bits: None };
        assert_eq!(b.add_struct("", 4, &[field]), b.add_struct("", 4, &[field]));
        assert_ne!(b.add_struct("", 4, &[field]), b.add_union("", 4, &[field]));
        let var = b.add_var("v", int, Linkage::Global);
        assert_ne!(b.add_var("v", int, Linkage::Global), var);
    }

    #[test]
    fn the_bytes_are_those_of_the_format() -> Result<(), Error> {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..Default::default() });
        let var = b.add_var("v", int, Linkage::Global);
        b.add_datasec(".bss", 4, &[SecVar { ty: var, offset: 0, size: 4 }]);
        let header: [u32; 6] = [0x0001_eb9f, 24, 0, 56, 56, 12];
        let int: [u32; 4] = [1, 1 << 24, 4, 1 << 24 | 32];
        let var: [u32; 4] = [5, 14 << 24, 1, 1];
        let bss: [u32; 6] = [7, 15 << 24 | 1, 4, 2, 0, 4];
        let words = [header.as_slice(), &int, &var, &bss].concat();
        let mut expected: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        expected.extend(b"\0int\0v\0.bss\0");
        assert_eq!(b.finish()?, expected);
        Ok(())
    }

    #[test]
    fn a_struct_never_set_is_a_forward_declaration() -> Result<(), Error> {
        let mut b = Builder::new();
        b.reserve_struct("s");
        b.reserve_union("u");
        let btf = Btf::from_vec(b.finish()?)?;
        assert!(matches!(btf.ty(TypeId(1))?, Type::Fwd { name: "s", is_union: false }));
        assert!(matches!(btf.ty(TypeId(2))?, Type::Fwd { name: "u", is_union: true }));
        Ok(())
    }

    #[test]
    fn limits_are_reported_at_the_end() {
        let member =
            |bits, width| Member { name: "m", ty: TypeId(0), bit_offset: bits, bitfield_bits: width };
        let finish = |build: &dyn Fn(&mut Builder) -> TypeId| {
            let mut b = Builder::new();
            build(&mut b);
            b.finish()
        };
        let many = finish(&|b| b.add_struct("s", 1, &vec![member(0, None); 0x1_0000]));
        assert_eq!(many, Err(Error::TooMany("members in a struct")));
        let far = finish(&|b| b.add_struct("s", 1, &[member(0, Some(1)), member(1 << 24, None)]));
        assert_eq!(far, Err(Error::TooMany("bits in a struct with bit-fields")));
        let wide = finish(&|b| b.add_int("i", 32, IntEncoding::default()));
        assert_eq!(wide, Err(Error::TooMany("bytes in an integer")));
    }
}
