//! Size and alignment of a type on the 64-bit machines BPF runs on.

use crate::read::DEPTH_MAX;
use crate::{Btf, Error, Type, TypeId};

/// BPF pointers are 64 bits wide whatever the machine.
const PTR_BYTES: u32 = 8;
/// Types one question may visit. The largest kernel struct needs a few thousand; corrupt files
/// can nest so that the tree below one type is exponential in the file.
const VISITS_MAX: u32 = 1 << 16;

impl Btf {
    /// Size in bytes; of a variable, its type's.
    ///
    /// # Errors
    /// [`Error::NoSize`] for `void`, functions, forward declarations; [`Error::TooDeep`] for loops.
    pub fn size_of(&self, id: TypeId) -> Result<u64, Error> {
        let mut at = id;
        let mut count: u64 = 1;
        for _ in 0..DEPTH_MAX {
            let at_resolved = self.resolve(at)?;
            let ty = self.ty(at_resolved)?;
            let size = match ty {
                Type::Int { size, .. } | Type::Float { size, .. } => size,
                Type::Ptr(_) => PTR_BYTES,
                Type::Struct(c) | Type::Union(c) => c.size(),
                Type::Enum(e) => e.size(),
                Type::DataSec(d) => d.size(),
                Type::Array { elem, len, .. } => {
                    count = count.checked_mul(len.into()).ok_or(Error::TooDeep(id))?;
                    at = elem;
                    continue;
                }
                Type::Var { ty, .. } => {
                    at = ty;
                    continue;
                }
                Type::Void
                | Type::Fwd { .. }
                | Type::Typedef { .. }
                | Type::Volatile(_)
                | Type::Const(_)
                | Type::Restrict(_)
                | Type::TypeTag { .. }
                | Type::Func { .. }
                | Type::FuncProto(_)
                | Type::DeclTag { .. } => return Err(no_size(at_resolved, &ty)),
            };
            return count.checked_mul(size.into()).ok_or(Error::TooDeep(id));
        }
        Err(Error::TooDeep(id))
    }

    /// Alignment in bytes: a power of two; 1 for packed structs, told by their offsets as libbpf's
    /// `btf__align_of` does.
    ///
    /// # Errors
    /// As [`Btf::size_of`].
    pub fn align_of(&self, id: TypeId) -> Result<u32, Error> {
        let mut visits = 0;
        self.align_within(id, 0, &mut visits)
    }

    fn align_within(&self, id: TypeId, depth: usize, visits: &mut u32) -> Result<u32, Error> {
        *visits += 1;
        if depth > DEPTH_MAX || *visits > VISITS_MAX {
            return Err(Error::TooDeep(id));
        }
        let resolved = self.resolve(id)?;
        let ty = self.ty(resolved)?;
        match ty {
            Type::Int { size, .. } | Type::Float { size, .. } => Ok(scalar_align(size)),
            Type::Enum(e) => Ok(scalar_align(e.size())),
            Type::Ptr(_) => Ok(PTR_BYTES),
            Type::Array { elem: inner, .. } | Type::Var { ty: inner, .. } => {
                self.align_within(inner, depth + 1, visits)
            }
            Type::Struct(c) | Type::Union(c) => {
                let mut max = 1;
                for member in c.members() {
                    let align = self.align_within(member.ty, depth + 1, visits)?;
                    if member.bitfield_bits.is_none() && !member.bit_offset.is_multiple_of(8 * align) {
                        return Ok(1);
                    }
                    max = max.max(align);
                }
                Ok(if c.size().is_multiple_of(max) { max } else { 1 })
            }
            Type::Void
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile(_)
            | Type::Const(_)
            | Type::Restrict(_)
            | Type::TypeTag { .. }
            | Type::Func { .. }
            | Type::FuncProto(_)
            | Type::DataSec(_)
            | Type::DeclTag { .. } => Err(no_size(resolved, &ty)),
        }
    }
}

/// Scalars are aligned to their size, up to a register: `__int128` and `long double` to 8 in BPF.
fn scalar_align(size: u32) -> u32 {
    size.checked_next_power_of_two().unwrap_or(PTR_BYTES).clamp(1, PTR_BYTES)
}

fn no_size(id: TypeId, ty: &Type<'_>) -> Error {
    Error::NoSize { id, kind: ty.kind().map_or("void", |kind| kind.name()) }
}

#[cfg(test)]
mod tests {
    use crate::core::sample::sample;
    use crate::{Btf, Error, KindSet, TypeId};

    fn check(lines: &str, name: &str, expected: (u64, u32)) {
        let answer = || -> Result<_, Error> {
            let btf = sample(lines)?;
            let id = btf.find(name, KindSet::ALL).next().ok_or(Error::NotSplit)?;
            Ok((btf.size_of(id)?, btf.align_of(id)?))
        };
        assert_eq!(answer(), Ok(expected), "{name} in {lines}");
    }

    #[test]
    fn sizes_and_alignments() {
        check("", "u16", (2, 2));
        check("typedef t u64[3]", "t", (24, 8));
        check("enum e 4: A=1", "e", (4, 4));
        check("enum64 e 8: A=1", "e", (8, 8));
        check("struct s 16: a u8 0, p * 64", "s", (16, 8));
        check("struct s 6: a u8[6] 0", "s", (6, 1));
        check("struct in 4: a u32 0\nunion u 8: i in 0, b u16 0", "u", (8, 4));
        // Packed: by its size, by an offset; a bit-field's offset says nothing.
        check("struct s 5: a u32 0, b u8 32", "s", (5, 1));
        check("struct s 8: b u8 0, a u32 8", "s", (8, 1));
        check("struct s 8: b u8 0, a u32 8:3", "s", (8, 4));
    }

    #[test]
    fn some_types_have_no_size() -> Result<(), Error> {
        let btf = sample("fwd f")?;
        let fwd = btf.ids().next_back().unwrap_or_default();
        let error = |id, kind| Error::NoSize { id, kind };
        assert_eq!(btf.size_of(fwd), Err(error(fwd, "forward declaration")));
        assert_eq!(btf.align_of(TypeId::VOID), Err(error(TypeId::VOID, "void")));
        Ok(())
    }

    #[test]
    fn huge_arrays_overflow_to_an_error() -> Result<(), Error> {
        let max = u32::MAX;
        let lines = format!("typedef t u64[{max}][{max}]\nstruct s 8: a t 0");
        let btf: Btf = sample(&lines)?;
        let t = btf.find("t", KindSet::ALL).next().ok_or(Error::NotSplit)?;
        assert_eq!(btf.size_of(t), Err(Error::TooDeep(t)));
        Ok(())
    }
}
