//! Pins the part of a kernel's BTF that the golden scripts need.
//!
//!     pin-btf BTF-DIR ROOTS OUT-DIR
//!
//! `BTF-DIR` holds `vmlinux` and modules as `/sys/kernel/btf` does. Each line of `ROOTS` names one
//! thing to keep, in the file it is in:
//!
//!     vmlinux func vfs_read
//!     vmlinux struct task_struct: pid comm real_parent     only these members (and anonymous ones), at their offsets
//!     nf_tables struct nft_ctx                             all members
//!     vmlinux typedef btf_trace_sched_switch
//!
//! What these hold by value is kept whole; a pointer to a struct that is not named becomes a pointer
//! to a forward declaration. The output is as small as that and otherwise the kernel's.

use btf::Builder;
use btf::{Btf, Kind, KindSet, Member, Param, Type, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [from, roots, to] = args.as_slice() else {
        return Err("usage: pin-btf BTF-DIR ROOTS OUT-DIR".into());
    };
    let roots = std::fs::read_to_string(roots)?;
    for (name, bytes) in pin(Path::new(from), &parse_roots(&roots)?)? {
        println!("{name}: {} bytes", bytes.len());
        std::fs::write(Path::new(to).join(name), bytes)?;
    }
    Ok(())
}

/// One line of the roots file.
struct Root<'a> {
    file: &'a str,
    kind: Kind,
    name: &'a str,
    /// Members to keep; all if `None`.
    members: Option<Vec<&'a str>>,
}

fn parse_roots(text: &str) -> Result<Vec<Root<'_>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (head, members) = match line.split_once(':') {
                Some((head, members)) => (head, Some(members.split_whitespace().collect())),
                None => (line, None),
            };
            let words: Vec<_> = head.split_whitespace().collect();
            let [file, kind, name] = words.as_slice() else { return Err(format!("bad line: {line}").into()) };
            let kind = match *kind {
                "func" => Kind::Func,
                "struct" => Kind::Struct,
                "union" => Kind::Union,
                "enum" => Kind::Enum,
                "typedef" => Kind::Typedef,
                other => return Err(format!("unknown kind {other}: {line}").into()),
            };
            Ok(Root { file, kind, name, members })
        })
        .collect()
}

/// The pinned files by name.
fn pin(dir: &Path, roots: &[Root<'_>]) -> Result<BTreeMap<String, Vec<u8>>> {
    let read = |file: &str| std::fs::read(dir.join(file)).map_err(|e| format!("{file}: {e}"));
    let vmlinux = Arc::new(Btf::from_vec(read("vmlinux")?)?);
    let mut base = Copier::new(&vmlinux, Builder::new(), roots, "vmlinux");
    base.copy_roots(&mut None)?;

    let mut modules = BTreeMap::new();
    for root in roots.iter().filter(|root| root.file != "vmlinux") {
        let bytes = Arc::new(read(root.file)?);
        modules.insert(root.file, Btf::parse_split(bytes, vmlinux.clone())?);
    }
    // What modules need of vmlinux must be in the base before it is finished: copy them once for that.
    for (name, module) in &modules {
        let mut dry = Copier::new(module, Builder::new(), roots, name);
        dry.copy_roots(&mut Some(&mut base))?;
    }
    let known = base.copied.clone();
    let bytes = base.out.finish()?;
    let pinned = Arc::new(Btf::from_vec(bytes.clone())?);
    let mut out = BTreeMap::from([("vmlinux".to_owned(), bytes)]);
    for (name, module) in &modules {
        let mut split = Copier::new(module, Builder::split(pinned.clone()), roots, name);
        split.copied = known.clone();
        split.copy_roots(&mut None)?;
        out.insert((*name).to_owned(), split.out.finish()?);
    }
    Ok(out)
}

/// Copies types of one file.
struct Copier<'a> {
    from: &'a Btf,
    out: Builder,
    roots: Vec<&'a Root<'a>>,
    copied: HashMap<TypeId, TypeId>,
}

/// Where types of vmlinux that a module names are copied to; `None` if they are already there.
type Base<'b, 'a> = Option<&'b mut Copier<'a>>;

impl<'a> Copier<'a> {
    fn new(from: &'a Btf, out: Builder, roots: &'a [Root<'a>], file: &str) -> Self {
        let roots = roots.iter().filter(|root| root.file == file).collect();
        Self { from, out, roots, copied: HashMap::new() }
    }

    fn copy_roots(&mut self, base: &mut Base<'_, 'a>) -> Result<()> {
        for root in self.roots.clone() {
            let id = self.from.find(root.name, KindSet::from(root.kind)).next();
            let id = id.ok_or_else(|| format!("{} has no {} {}", root.file, root.kind.name(), root.name))?;
            self.copy(id, base)?;
        }
        Ok(())
    }

    fn copy(&mut self, id: TypeId, base: &mut Base<'_, 'a>) -> Result<TypeId> {
        if id == TypeId(0) {
            return Ok(id);
        }
        if let Some(&copy) = self.copied.get(&id) {
            return Ok(copy);
        }
        if id < self.from.first_id()
            && let Some(base) = base
        {
            return base.copy(id, &mut None);
        }
        let copy = self.copy_new(id, base)?;
        self.copied.insert(id, copy);
        Ok(copy)
    }

    fn copy_new(&mut self, id: TypeId, base: &mut Base<'_, 'a>) -> Result<TypeId> {
        Ok(match self.from.ty(id)? {
            Type::Void => id,
            Type::Int { name, size, encoding, .. } => self.out.add_int(name, size, encoding),
            Type::Float { name, size } => self.out.add_float(name, size),
            Type::Ptr(to) => {
                let to = self.pointee(to, base)?;
                self.out.add_ptr(to)
            }
            Type::Array { elem, index, len } => {
                let (elem, index) = (self.copy(elem, base)?, self.copy(index, base)?);
                self.out.add_array(elem, index, len)
            }
            Type::Struct(_) | Type::Union(_) => self.copy_composite(id, base)?,
            Type::Enum(e) => {
                let values: Vec<_> = e.values().collect();
                match e.is_enum64() {
                    true => self.out.add_enum64(e.name(), e.size(), e.signed(), &values),
                    false => self.out.add_enum(e.name(), e.size(), e.signed(), &values),
                }
            }
            Type::Fwd { name, is_union } => self.out.add_fwd(name, is_union),
            Type::Typedef { name, ty } => {
                let ty = self.copy(ty, base)?;
                self.out.add_typedef(name, ty)
            }
            Type::Volatile(ty) => {
                let ty = self.copy(ty, base)?;
                self.out.add_volatile(ty)
            }
            Type::Const(ty) => {
                let ty = self.copy(ty, base)?;
                self.out.add_const(ty)
            }
            Type::Restrict(ty) => {
                let ty = self.copy(ty, base)?;
                self.out.add_restrict(ty)
            }
            Type::TypeTag { name, ty, .. } => {
                let ty = self.pointee(ty, base)?;
                self.out.add_type_tag(name, ty)
            }
            Type::Func { name, proto, linkage } => {
                let proto = self.copy(proto, base)?;
                self.out.add_func(name, proto, linkage)
            }
            Type::FuncProto(proto) => {
                let ret = self.copy(proto.ret(), base)?;
                let mut params = Vec::new();
                for param in proto.params() {
                    params.push(Param { name: param.name, ty: self.copy(param.ty, base)? });
                }
                self.out.add_func_proto(ret, &params)
            }
            other => return Err(format!("{:?} is not copied", other.kind()).into()),
        })
    }

    /// A pointer's target: the struct itself if it is a root, else its forward declaration.
    fn pointee(&mut self, id: TypeId, base: &mut Base<'_, 'a>) -> Result<TypeId> {
        let (name, is_union) = match self.from.ty(id)? {
            Type::Struct(c) if !c.name().is_empty() => (c.name(), false),
            Type::Union(c) if !c.name().is_empty() => (c.name(), true),
            Type::Const(to) => {
                let to = self.pointee(to, base)?;
                return Ok(self.out.add_const(to));
            }
            _ => return self.copy(id, base),
        };
        let own = id >= self.from.first_id();
        let known = match (own, base.as_ref()) {
            (true, _) => self.is_root(name),
            (false, Some(base)) => base.is_root(name),
            (false, None) => self.copied.contains_key(&id),
        };
        match known {
            true => self.copy(id, base),
            false => Ok(self.out.add_fwd(name, is_union)),
        }
    }

    fn is_root(&self, name: &str) -> bool {
        self.roots.iter().any(|r| r.name == name && matches!(r.kind, Kind::Struct | Kind::Union))
    }

    fn copy_composite(&mut self, id: TypeId, base: &mut Base<'_, 'a>) -> Result<TypeId> {
        let ty = self.from.ty(id)?;
        let Some(composite) = ty.composite() else { return Err("not a composite".into()) };
        let is_union = matches!(ty, Type::Union(_));
        let name = composite.name();
        let copy = if is_union { self.out.reserve_union(name) } else { self.out.reserve_struct(name) };
        self.copied.insert(id, copy);
        let root = self.roots.iter().find(|r| r.name == name && !name.is_empty());
        let keep = root.and_then(|root| root.members.clone());
        let mut members = Vec::new();
        for member in composite.members() {
            if keep.as_ref().is_none_or(|keep| member.name.is_empty() || keep.contains(&member.name)) {
                members.push(Member { ty: self.copy(member.ty, base)?, ..member });
            }
        }
        match is_union {
            true => self.out.set_union(copy, name, composite.size(), &members),
            false => self.out.set_struct(copy, name, composite.size(), &members),
        }
        Ok(copy)
    }
}
