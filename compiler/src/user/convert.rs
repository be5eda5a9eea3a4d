//! DWARF types as BTF, each when something needs it.
//!
//! Input    entries of types
//! Output   [`Types`]: a BTF that grows; ids stay what they are
//! Ensures  what a pointer leads to is only declared until [`Types::define`] is asked for it, so a type
//!          costs its own members; equal structs of several units are one type; nesting is bounded
//! Breaks   nothing: what BTF cannot say becomes a struct without members of the same size

use super::search::{TypeIndex, children, is_composite, is_declaration, origins};
use super::units::{Die, Entry, Units};
use btf::{Btf, Builder, Enumerator, IntEncoding, Member, TypeId};
use gimli::{AttributeValue, DwTag, constants as dw};
use std::cell::OnceCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};

/// Types within types deeper than this are given up: only corrupt files have them.
const DEPTH_MAX: u32 = 48;
/// A script needs hundreds.
const TYPES_MAX: usize = 200_000;
/// What BTF can count in one type, and the highest place of a member beside bit-fields.
const RECORDS_MAX: usize = 0xffff;
const BITFIELD_OFFSET_MAX: u32 = 0xff_ffff;
/// Letters of a type's description that tell structs apart.
const DESCRIPTION_STEPS: u32 = 6;

/// The types of one program.
#[derive(Debug)]
pub(super) struct Types {
    builder: Builder,
    by_die: HashMap<Die, TypeId>,
    /// Structs and enums by what they look like.
    by_shape: HashMap<u64, TypeId>,
    /// What a declared struct is, until it is defined.
    pending: HashMap<TypeId, Die>,
    sizes: HashMap<TypeId, u32>,
    /// Classes that are passed by address whatever their size.
    indirect: HashSet<TypeId>,
    index: OnceCell<TypeIndex>,
    depth: u32,
    /// Something was added since the last [`Types::btf`].
    is_new: bool,
}

impl Types {
    pub(super) fn new() -> Types {
        Types {
            builder: Builder::new(),
            by_die: HashMap::new(),
            by_shape: HashMap::new(),
            pending: HashMap::new(),
            sizes: HashMap::new(),
            indirect: HashSet::new(),
            index: OnceCell::new(),
            depth: 0,
            is_new: true,
        }
    }

    /// The types so far, if there are more than at the last call.
    pub(super) fn btf(&mut self) -> Option<Btf> {
        if std::mem::take(&mut self.is_new) { self.snapshot() } else { None }
    }

    /// The types so far.
    pub(super) fn snapshot(&self) -> Option<Btf> {
        Btf::from_vec(self.builder.clone().finish().ok()?).ok()
    }

    /// Bytes of a struct, also of one that is only declared in BTF so far.
    pub(super) fn size_of(&self, id: TypeId) -> u32 {
        self.sizes.get(&id).copied().unwrap_or(0)
    }

    /// Whether arguments of this type are passed by address.
    pub(super) fn is_indirect(&self, id: TypeId) -> bool {
        self.indirect.contains(&id)
    }

    /// All types of a name with these tags; several only if they differ.
    pub(super) fn find(&mut self, units: &Units, name: &str, wanted: impl Fn(DwTag) -> bool) -> Vec<TypeId> {
        let found = self.index.get_or_init(|| TypeIndex::new(units)).find(units, name);
        let mut ids = Vec::new();
        for (die, _) in found.into_iter().filter(|(_, entry)| wanted(entry.tag())) {
            let id = self.ty(units, die);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The type that stands for a declared struct: the definition's, if there is one.
    pub(super) fn canonical(&mut self, units: &Units, id: TypeId) -> TypeId {
        let Some(&die) = self.pending.get(&id) else { return id };
        let Some(entry) = units.entry(die).filter(is_declaration) else { return id };
        let Some(name) = units.text_of(die, &entry, dw::DW_AT_name) else { return id };
        let is_union = entry.tag() == dw::DW_TAG_union_type;
        let same = |tag: DwTag| is_composite(tag) && (tag == dw::DW_TAG_union_type) == is_union;
        self.find(units, &name, same).first().copied().unwrap_or(id)
    }

    /// Gives a declared struct its members.
    pub(super) fn define(&mut self, units: &Units, id: TypeId) {
        let Some(die) = self.pending.get(&id).copied() else { return };
        let Some(entry) = units.entry(die).filter(|entry| !is_declaration(entry)) else { return };
        self.pending.remove(&id);
        self.is_new = true;
        let mut members = Members::default();
        self.members(units, die, 0, &mut members);
        let records = members.as_records();
        let has_bits = records.iter().any(|member| member.bitfield_bits.is_some());
        if records.len() > RECORDS_MAX
            || has_bits && records.iter().any(|m| m.bit_offset > BITFIELD_OFFSET_MAX)
        {
            return;
        }
        let (name, size) = (name_of(units, die, &entry), self.size_of(id));
        if entry.tag() == dw::DW_TAG_union_type {
            self.builder.set_union(id, &name, size, &records);
        } else {
            self.builder.set_struct(id, &name, size, &records);
        }
    }

    /// The type that an attribute `DW_AT_type` names; `void` without one.
    pub(super) fn type_of(&mut self, units: &Units, die: Die, entry: &Entry) -> TypeId {
        units.target_of(die, entry, dw::DW_AT_type).map_or(TypeId::VOID, |target| self.ty(units, target))
    }

    /// The type of an entry.
    pub(super) fn ty(&mut self, units: &Units, die: Die) -> TypeId {
        if let Some(known) = self.by_die.get(&die) {
            return *known;
        }
        if self.depth >= DEPTH_MAX || self.builder.len() >= TYPES_MAX {
            return TypeId::VOID;
        }
        self.depth += 1;
        let id = self.convert(units, die);
        self.depth -= 1;
        self.is_new = true;
        self.by_die.insert(die, id);
        id
    }

    fn convert(&mut self, units: &Units, die: Die) -> TypeId {
        let Some(entry) = units.entry(die) else { return TypeId::VOID };
        // A unit of its own holds the type.
        if let Some(unit) = units.target_of(die, &entry, dw::DW_AT_signature) {
            return self.ty(units, unit);
        }
        match entry.tag() {
            dw::DW_TAG_base_type => self.base(units, die, &entry),
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
                let to = self.type_of(units, die, &entry);
                self.builder.add_ptr(to)
            }
            dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type
            | dw::DW_TAG_packed_type
            | dw::DW_TAG_subrange_type => self.type_of(units, die, &entry),
            dw::DW_TAG_typedef | dw::DW_TAG_template_alias => {
                let of = self.type_of(units, die, &entry);
                self.builder.add_typedef(&name_of(units, die, &entry), of)
            }
            dw::DW_TAG_array_type => self.array(units, die, &entry),
            dw::DW_TAG_enumeration_type => self.enumeration(units, die, &entry),
            dw::DW_TAG_subroutine_type => self.builder.add_func_proto(TypeId::VOID, &[]),
            dw::DW_TAG_ptr_to_member_type => self.opaque(bytes_of(&entry).unwrap_or(8)),
            tag if is_composite(tag) => self.composite(units, die, &entry),
            _ => TypeId::VOID,
        }
    }

    fn base(&mut self, units: &Units, die: Die, entry: &Entry) -> TypeId {
        let name = name_of(units, die, entry);
        let size = bytes_of(entry).unwrap_or(0);
        let Some(AttributeValue::Encoding(encoding)) = entry.attr_value(dw::DW_AT_encoding) else {
            return self.opaque(size);
        };
        let (signed, bool) = match encoding {
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => (true, false),
            dw::DW_ATE_unsigned
            | dw::DW_ATE_unsigned_char
            | dw::DW_ATE_UTF
            | dw::DW_ATE_ASCII
            | dw::DW_ATE_UCS => (false, false),
            dw::DW_ATE_boolean => (false, true),
            dw::DW_ATE_float if matches!(size, 2 | 4 | 8 | 12 | 16) => {
                return self.builder.add_float(&name, size);
            }
            _ => return self.opaque(size),
        };
        match size {
            1 | 2 | 4 | 8 | 16 => {
                self.builder.add_int(&name, size, IntEncoding { signed, char: false, bool })
            }
            _ => self.opaque(size),
        }
    }

    /// Something of which only the size is known.
    fn opaque(&mut self, size: u32) -> TypeId {
        self.builder.add_struct("", size, &[])
    }

    fn array(&mut self, units: &Units, die: Die, entry: &Entry) -> TypeId {
        let element = units.target_of(die, entry, dw::DW_AT_type);
        let mut ty = element.map_or(TypeId::VOID, |element| self.by_value(units, element));
        let ranges =
            children(units, die).into_iter().filter(|(_, child)| child.tag() == dw::DW_TAG_subrange_type);
        let mut lengths: Vec<u32> = ranges.map(|(_, range)| length_of(&range)).collect();
        if entry.has_attr(dw::DW_AT_GNU_vector) {
            let bytes =
                element.and_then(|element| units.entry(element)).and_then(|e| bytes_of(&e)).unwrap_or(0);
            return self.opaque(lengths.iter().fold(bytes, |size, len| size.saturating_mul(*len)));
        }
        if lengths.is_empty() {
            lengths.push(0);
        }
        let index = self.builder.add_int("unsigned int", 4, IntEncoding::default());
        for len in lengths.into_iter().rev() {
            ty = self.builder.add_array(ty, index, len);
        }
        ty
    }

    fn enumeration(&mut self, units: &Units, die: Die, entry: &Entry) -> TypeId {
        let underlying = units.target_of(die, entry, dw::DW_AT_type).and_then(|base| units.entry(base));
        let encoding = underlying.as_ref().unwrap_or(entry).attr_value(dw::DW_AT_encoding);
        let is_unsigned = matches!(
            encoding,
            Some(AttributeValue::Encoding(
                dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_boolean
            ))
        );
        let size = bytes_of(entry).or_else(|| bytes_of(underlying.as_ref()?)).unwrap_or(4);
        let listed =
            children(units, die).into_iter().filter(|(_, child)| child.tag() == dw::DW_TAG_enumerator);
        let values: Vec<(String, i128)> = listed
            .filter_map(|(at, child)| {
                let value = child.attr_value(dw::DW_AT_const_value)?;
                let name = units.text_of(at, &child, dw::DW_AT_name)?;
                let value = if is_unsigned { value.udata_value().map(i128::from) } else { None }
                    .or_else(|| value.sdata_value().map(i128::from))?;
                Some((name, value))
            })
            .take(RECORDS_MAX)
            .collect();
        if !matches!(size, 1 | 2 | 4 | 8) {
            return self.opaque(size);
        }
        let signed = values.iter().any(|(_, value)| *value < 0);
        let bits = |value: i128| {
            u64::try_from(value).unwrap_or_else(|_| i64::try_from(value).unwrap_or(0).cast_unsigned())
        };
        let records: Vec<_> =
            values.iter().map(|(name, value)| Enumerator { name, value: bits(*value) }).collect();
        let name = name_of(units, die, entry);
        if size == 8 {
            self.builder.add_enum64(&name, size, signed, &records)
        } else {
            self.builder.add_enum(&name, size, signed, &records)
        }
    }

    /// A struct, union or class: declared, to be defined when its members are asked for.
    fn composite(&mut self, units: &Units, die: Die, entry: &Entry) -> TypeId {
        // What stands in a class may be completed outside of it.
        let definition = origins(units, die).into_iter().find(|(_, entry)| !is_declaration(entry));
        let (die, entry) = definition.as_ref().map_or((die, entry), |(die, entry)| (*die, entry));
        let shape = shape_of(units, die, entry);
        if let Some(known) = self.by_shape.get(&shape) {
            return *known;
        }
        let name = name_of(units, die, entry);
        let id = match entry.tag() {
            dw::DW_TAG_union_type => self.builder.reserve_union(&name),
            _ => self.builder.reserve_struct(&name),
        };
        self.by_shape.insert(shape, id);
        self.pending.insert(id, die);
        self.sizes.insert(id, bytes_of(entry).unwrap_or(0));
        if goes_by_address(units, die, entry) {
            self.indirect.insert(id);
        }
        id
    }

    /// A type whose size matters where it is used: its structs are defined at once.
    fn by_value(&mut self, units: &Units, die: Die) -> TypeId {
        let id = self.ty(units, die);
        self.define_value(units, die);
        id
    }

    /// Defines the struct that a value of this type consists of.
    pub(super) fn define_value(&mut self, units: &Units, mut die: Die) {
        for _ in 0..DEPTH_MAX {
            let Some(entry) = units.entry(die) else { return };
            match entry.tag() {
                tag if is_composite(tag) => {
                    let id = self.ty(units, die);
                    if self.depth < DEPTH_MAX {
                        self.depth += 1;
                        self.define(units, id);
                        self.depth -= 1;
                    }
                    return;
                }
                dw::DW_TAG_typedef
                | dw::DW_TAG_const_type
                | dw::DW_TAG_volatile_type
                | dw::DW_TAG_atomic_type => match units.target_of(die, &entry, dw::DW_AT_type) {
                    Some(next) => die = next,
                    None => return,
                },
                _ => return,
            }
        }
    }

    /// Members of a struct, of its base classes behind them, and of a Rust enum's variants.
    fn members(&mut self, units: &Units, die: Die, depth: u32, out: &mut Members) {
        let children = children(units, die);
        for (at, child) in &children {
            match child.tag() {
                dw::DW_TAG_member if !is_static(child) => {
                    let name = units.text_of(*at, child, dw::DW_AT_name).unwrap_or_default();
                    self.member(units, *at, child, name, out);
                }
                dw::DW_TAG_variant_part | dw::DW_TAG_variant if depth < 4 => {
                    self.members(units, *at, depth + 1, out);
                }
                _ => {}
            }
        }
        // An own member hides the base's, so bases come last. Their members are reached as those of an
        // anonymous member.
        for (at, child) in children.iter().filter(|(_, child)| child.tag() == dw::DW_TAG_inheritance) {
            self.member(units, *at, child, String::new(), out);
        }
    }

    fn member(&mut self, units: &Units, at: Die, entry: &Entry, name: String, out: &mut Members) {
        let Some(target) = units.target_of(at, entry, dw::DW_AT_type) else { return };
        let ty = self.by_value(units, target);
        let Some((bit_offset, bits)) = place_of(units, entry, target) else { return };
        out.0.push((name, ty, bit_offset, bits));
    }
}

/// Name, type, place in bits, width of a bit-field.
#[derive(Default)]
struct Members(Vec<(String, TypeId, u32, Option<u8>)>);

impl Members {
    fn as_records(&self) -> Vec<Member<'_>> {
        self.0
            .iter()
            .map(|(name, ty, bit_offset, bits)| Member {
                name,
                ty: *ty,
                bit_offset: *bit_offset,
                bitfield_bits: *bits,
            })
            .collect()
    }
}

/// Whether values of a class are passed by address. Some compilers say so; if not (GCC 12), it is those
/// with a destructor of their own or virtual functions (Itanium C++ ABI, 3.1.2.3).
fn goes_by_address(units: &Units, die: Die, entry: &Entry) -> bool {
    if let Some(AttributeValue::CallingConvention(how)) = entry.attr_value(dw::DW_AT_calling_convention) {
        return how == dw::DW_CC_pass_by_reference;
    }
    children(units, die).iter().any(|(at, child)| {
        let name = || name_of(units, *at, child);
        match child.tag() {
            dw::DW_TAG_subprogram => {
                child.attr_value(dw::DW_AT_defaulted).is_none() && name().starts_with('~')
            }
            dw::DW_TAG_member => name().starts_with("_vptr"),
            _ => false,
        }
    })
}

/// A type's own name; types without one and of the compiler's making have none.
fn name_of(units: &Units, die: Die, entry: &Entry) -> String {
    units.text_of(die, entry, dw::DW_AT_name).unwrap_or_default()
}

fn number(entry: &Entry, name: gimli::DwAt) -> Option<u64> {
    entry.attr(name)?.udata_value()
}

/// `DW_AT_byte_size`, or that of the bits.
fn bytes_of(entry: &Entry) -> Option<u32> {
    let bytes = number(entry, dw::DW_AT_byte_size)
        .or_else(|| Some(number(entry, dw::DW_AT_bit_size)?.div_ceil(8).next_power_of_two()))?;
    u32::try_from(bytes).ok()
}

/// Elements of an array's dimension; 0 if that is not known or decided at run time.
fn length_of(range: &Entry) -> u32 {
    let len = number(range, dw::DW_AT_count)
        .or_else(|| Some(number(range, dw::DW_AT_upper_bound)?.wrapping_add(1)))
        .unwrap_or(0);
    u32::try_from(len).unwrap_or(0)
}

/// Class members that are no part of the objects.
fn is_static(member: &Entry) -> bool {
    member.has_attr(dw::DW_AT_external) || is_declaration(member)
}

/// Bits from the struct's start, and the width of a bit-field.
fn place_of(units: &Units, member: &Entry, ty: Die) -> Option<(u32, Option<u8>)> {
    let width = match number(member, dw::DW_AT_bit_size) {
        None => None,
        Some(bits) => Some(u8::try_from(bits).ok()?),
    };
    let bytes = match member.attr_value(dw::DW_AT_data_member_location) {
        None => 0,
        Some(AttributeValue::Exprloc(expression)) => constant_offset(&expression)?,
        Some(value) => value.udata_value()?,
    };
    let bits = match (number(member, dw::DW_AT_data_bit_offset), number(member, dw::DW_AT_bit_offset)) {
        (Some(bits), _) => bits,
        // DWARF 3 counts from the highest bit of a storage unit.
        (None, Some(from_top)) => {
            let storage = bytes_of(member).or_else(|| bytes_of(&units.entry(ty)?))?;
            let within = (u64::from(storage) * 8).checked_sub(from_top)?.checked_sub(width?.into())?;
            bytes.checked_mul(8)?.checked_add(within)?
        }
        (None, None) => bytes.checked_mul(8)?,
    };
    Some((u32::try_from(bits).ok()?, width))
}

/// `DW_OP_plus_uconst`: how old compilers write a constant; other expressions are virtual bases.
fn constant_offset(expression: &gimli::Expression<super::units::Slice>) -> Option<u64> {
    use gimli::Reader as _;
    let mut bytes = expression.0.clone();
    let is_plus = bytes.read_u8().ok()? == dw::DW_OP_plus_uconst.0;
    let offset = bytes.read_uleb128().ok()?;
    (is_plus && bytes.is_empty()).then_some(offset)
}

/// What structs of several units have in common if they are the same.
fn shape_of(units: &Units, die: Die, entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    let is_union = entry.tag() == dw::DW_TAG_union_type;
    (is_union, name_of(units, die, entry), bytes_of(entry), is_declaration(entry)).hash(&mut hasher);
    for (at, child) in children(units, die) {
        if !matches!(child.tag(), dw::DW_TAG_member | dw::DW_TAG_inheritance | dw::DW_TAG_variant_part) {
            continue;
        }
        name_of(units, at, &child).hash(&mut hasher);
        if let Some(target) = units.target_of(at, &child, dw::DW_AT_type) {
            place_of(units, &child, target).hash(&mut hasher);
            describe(units, target, &mut hasher);
        }
    }
    hasher.finish()
}

/// The type in a few words.
fn describe(units: &Units, die: Die, out: &mut DefaultHasher) {
    let mut next = Some(die);
    for _ in 0..DESCRIPTION_STEPS {
        let Some((die, entry)) = next.and_then(|die| Some((die, units.entry(die)?))) else { return };
        let tag = if is_composite(entry.tag()) { dw::DW_TAG_structure_type } else { entry.tag() };
        (tag.0, name_of(units, die, &entry)).hash(out);
        next = units.target_of(die, &entry, dw::DW_AT_type);
    }
}
