//! A type as C text, in the form of libbpf's `btf_dump.c`, which is also what bpftrace shows.
//!
//! Input    a type, and the name to declare with it
//! Output   a declaration such as `int (*poll)(struct file *, long)`, or a definition: see `define.rs`
//! Ensures  bounded: corrupt files may nest types without end, the text then has `...` in it. Names are
//!          the types' own, where libbpf appends `___2` to the second of one name
//! Requires nothing

use std::fmt::Write as _;

use crate::{Btf, Enum, FuncProto, Type, TypeId};

/// Longest chain of pointers, arrays and qualifiers, and deepest nesting of one type in another.
const DEPTH_MAX: usize = 32;
/// Longest text: the largest kernel types have tens of kilobytes. Prototypes and anonymous structs
/// nest, so without it the size may be exponential.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl Btf {
    /// C declaration of `name` with type `id`, such as `struct sk_buff *skb`; without a name, the
    /// type alone. What cannot be told, as in corrupt files, reads `...`.
    pub fn decl(&self, id: TypeId, name: &str) -> String {
        let mut writer = Writer::new(self);
        writer.declare(id, name, 0);
        writer.text
    }

    /// C definition of a struct, union or enum, without a semicolon; of other types [`Btf::decl`].
    pub fn definition(&self, id: TypeId) -> String {
        let mut writer = Writer::new(self);
        writer.define(id, 0);
        writer.text
    }
}

/// Writes one text.
pub(crate) struct Writer<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) text: String,
    depth: usize,
}

impl<'a> Writer<'a> {
    fn new(btf: &'a Btf) -> Self {
        Self { btf, text: String::new(), depth: 0 }
    }

    /// Whether the text is as long as it may become.
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() > TEXT_BYTES_MAX
    }

    /// Appends formatted text.
    pub(crate) fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.text.write_fmt(text);
    }

    /// Appends a declaration; `level` is how far definitions inside it are indented.
    pub(crate) fn declare(&mut self, id: TypeId, name: &str, level: usize) {
        if self.depth == DEPTH_MAX || self.is_full() {
            self.text.push_str("...");
            return;
        }
        self.depth += 1;
        let (name, mut chain) = self.chain(id, name);
        self.unwind(&mut chain, name, level);
        self.depth -= 1;
    }

    /// The types from the declared one to the one that ends the declaration, and the declared name.
    fn chain<'n>(&self, id: TypeId, name: &'n str) -> (&'n str, Vec<TypeId>)
    where
        'a: 'n,
    {
        let (mut at, mut name, mut chain) = (id, name, Vec::new());
        while chain.len() < DEPTH_MAX {
            let next = match self.btf.ty(at) {
                // These are no part of a type, but have one and a name.
                Ok(Type::Func { name: own, proto: ty, .. } | Type::Var { name: own, ty, .. }) => {
                    (at, name) = (ty, own);
                    chain.clear();
                    continue;
                }
                Ok(Type::DeclTag { ty, .. }) => {
                    at = ty;
                    chain.push(ty);
                    continue;
                }
                Ok(
                    Type::Ptr(to)
                    | Type::Const(to)
                    | Type::Volatile(to)
                    | Type::Restrict(to)
                    | Type::TypeTag { ty: to, .. }
                    | Type::Array { elem: to, .. },
                ) => Some(to),
                Ok(Type::FuncProto(proto)) => Some(proto.ret()),
                _ => None,
            };
            chain.push(at);
            match next {
                Some(next) => at = next,
                None => return (name, chain),
            }
        }
        (name, chain)
    }

    /// Writes a chain from its end: C declares from the inside out.
    fn unwind(&mut self, chain: &mut Vec<TypeId>, name: &str, level: usize) {
        let mut after_pointer = true;
        while let Some(id) = chain.pop() {
            let Ok(ty) = self.btf.ty(id) else {
                self.text.push_str("...");
                continue;
            };
            match ty {
                Type::Ptr(_) => self.text.push_str(if after_pointer { "*" } else { " *" }),
                Type::Const(_) => self.text.push_str(" const"),
                Type::Volatile(_) => self.text.push_str(" volatile"),
                Type::Restrict(_) => self.text.push_str(" restrict"),
                Type::TypeTag { name, attribute, .. } => {
                    self.qualifiers(chain);
                    match attribute {
                        true => self.put(format_args!(" __attribute__(({name}))")),
                        false => self.put(format_args!(" __attribute__((btf_type_tag(\"{name}\")))")),
                    }
                }
                Type::Array { len, .. } => {
                    self.array(chain, name, after_pointer, level);
                    self.put(format_args!("[{len}]"));
                    return;
                }
                Type::FuncProto(proto) => return self.prototype(chain, proto, name, after_pointer, level),
                _ => {
                    self.qualifiers(chain);
                    self.base(id, &ty, level);
                }
            }
            after_pointer = matches!(ty, Type::Ptr(_));
        }
        self.name(name, after_pointer);
    }

    fn name(&mut self, name: &str, after_pointer: bool) {
        if !name.is_empty() && !after_pointer {
            self.text.push(' ');
        }
        self.text.push_str(name);
    }

    /// The type that ends a declaration. Without a name of its own it is defined here.
    fn base(&mut self, id: TypeId, ty: &Type<'_>, level: usize) {
        match ty {
            Type::Void => self.text.push_str("void"),
            Type::Struct(c) | Type::Union(c) if c.name().is_empty() => self.define(id, level),
            Type::Enum(e) if e.name().is_empty() => self.define(id, level),
            Type::Struct(_) | Type::Fwd { is_union: false, .. } => {
                self.put(format_args!("struct {}", ty.name()));
            }
            Type::Union(_) | Type::Fwd { .. } => self.put(format_args!("union {}", ty.name())),
            Type::Enum(e) => self.put(format_args!("enum {}", e.name())),
            _ => self.text.push_str(ty.name()),
        }
    }

    /// Qualifiers at the end of the chain: those of the type that is about to be written.
    fn qualifiers(&mut self, chain: &mut Vec<TypeId>) {
        while let Some(word) = chain.last().and_then(|id| self.qualifier(*id)) {
            self.text.push_str(word);
            chain.pop();
        }
    }

    fn qualifier(&self, id: TypeId) -> Option<&'static str> {
        match self.btf.ty(id) {
            Ok(Type::Const(_)) => Some("const "),
            Ok(Type::Volatile(_)) => Some("volatile "),
            Ok(Type::Restrict(_)) => Some("restrict "),
            _ => None,
        }
    }

    /// What stands before an array's length. Compilers repeat the element's qualifiers for the array.
    fn array(&mut self, chain: &mut Vec<TypeId>, name: &str, after_pointer: bool, level: usize) {
        self.drop_qualifiers(chain);
        let Some(outer) = chain.last() else { return self.name(name, after_pointer) };
        let parentheses = !matches!(self.btf.ty(*outer), Ok(Type::Array { .. }));
        if !name.is_empty() && !after_pointer {
            self.text.push(' ');
        }
        self.text.push_str(if parentheses { "(" } else { "" });
        self.unwind(chain, name, level);
        self.text.push_str(if parentheses { ")" } else { "" });
    }

    /// A function's name and parameters; GCC qualifies the prototype of one that does not return.
    fn prototype(
        &mut self,
        chain: &mut Vec<TypeId>,
        proto: FuncProto<'_>,
        name: &str,
        after_pointer: bool,
        level: usize,
    ) {
        self.drop_qualifiers(chain);
        if chain.is_empty() {
            self.name(name, after_pointer);
        } else {
            self.text.push_str(" (");
            self.unwind(chain, name, level);
            self.text.push(')');
        }
        self.text.push('(');
        if proto.is_empty() && !proto.is_variadic() {
            self.text.push_str("void");
        }
        for (index, param) in proto.params().enumerate() {
            self.text.push_str(if index > 0 { ", " } else { "" });
            if self.is_full() {
                self.text.push_str("...");
                break;
            }
            self.declare(param.ty, param.name, level);
        }
        if proto.is_variadic() {
            self.text.push_str(if proto.is_empty() { "..." } else { ", ..." });
        }
        self.text.push(')');
    }

    fn drop_qualifiers(&self, chain: &mut Vec<TypeId>) {
        while chain.last().is_some_and(|id| self.qualifier(*id).is_some()) {
            chain.pop();
        }
    }

    /// A definition, or the declaration of what has none.
    pub(crate) fn define(&mut self, id: TypeId, level: usize) {
        if self.depth == DEPTH_MAX || self.is_full() {
            self.text.push_str("...");
            return;
        }
        self.depth += 1;
        match self.btf.ty(id) {
            Ok(Type::Struct(composite)) => self.composite(id, "struct", composite, level),
            Ok(Type::Union(composite)) => self.composite(id, "union", composite, level),
            Ok(Type::Enum(values)) => self.values(values, level),
            _ => self.declare(id, "", level),
        }
        self.depth -= 1;
    }

    /// An enum with its values, and the attribute that gives it its size.
    fn values(&mut self, values: Enum<'_>, level: usize) {
        self.text.push_str("enum");
        self.name(values.name(), false);
        if values.is_empty() {
            return;
        }
        self.text.push_str(" {");
        let suffix = match (values.is_enum64(), values.signed()) {
            (false, _) => "",
            (true, true) => "LL",
            (true, false) => "ULL",
        };
        for entry in values.values() {
            self.line(level + 1);
            match values.signed() {
                true => self.put(format_args!("{} = {}{suffix},", entry.name, entry.value.cast_signed())),
                false => self.put(format_args!("{} = {}{suffix},", entry.name, entry.value)),
            }
        }
        self.line(level);
        self.text.push('}');
        let fits_32_bits = values.values().all(|entry| entry.value >> 32 == 0);
        match values.size() {
            1 => self.text.push_str(" __attribute__((mode(byte)))"),
            8 if fits_32_bits || !values.is_enum64() => self.text.push_str(" __attribute__((mode(word)))"),
            _ => {}
        }
    }

    /// Begins a line.
    pub(crate) fn line(&mut self, level: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n('\t', level));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Btf, Builder, Error, IntEncoding, Linkage, Param, TypeId};

    /// Declares `name` with the type that `build` makes of an `int` and a `struct file`.
    fn check(name: &str, expected: &str, build: impl FnOnce(&mut Builder, TypeId, TypeId) -> TypeId) {
        let mut builder = Builder::new();
        let int = builder.add_int("int", 4, IntEncoding { signed: true, ..Default::default() });
        let file = builder.add_struct("file", 8, &[]);
        let id = build(&mut builder, int, file);
        let decl = builder.finish().and_then(Btf::from_vec).map(|btf| btf.decl(id, name));
        assert_eq!(decl.as_deref(), Ok(expected));
    }

    #[test]
    fn declarations_read_as_c() {
        check("", "int", |_, int, _| int);
        check("f", "struct file *f", |b, _, file| b.add_ptr(file));
        check("", "const struct file *", |b, _, file| {
            let file = b.add_const(file);
            b.add_ptr(file)
        });
        check("p", "int * const p", |b, int, _| {
            let ptr = b.add_ptr(int);
            b.add_const(ptr)
        });
        check("p", "int **p", |b, int, _| {
            let ptr = b.add_ptr(int);
            b.add_ptr(ptr)
        });
        check("a", "int *a[4]", |b, int, _| {
            let ptr = b.add_ptr(int);
            b.add_array(ptr, int, 4)
        });
        check("", "int[4]", |b, int, _| b.add_array(int, int, 4));
        check("a", "int (*a)[4][0]", |b, int, _| {
            let inner = b.add_array(int, int, 0);
            let outer = b.add_array(inner, int, 4);
            b.add_ptr(outer)
        });
        check("", "void (*)(int, struct file *)", |b, int, file| {
            let file = b.add_ptr(file);
            let params = [Param { name: "", ty: int }, Param { name: "", ty: file }];
            let proto = b.add_func_proto(TypeId::VOID, &params);
            b.add_ptr(proto)
        });
        check("", "int run(const char *fmt, ...)", |b, int, _| {
            let char = b.add_int("char", 1, IntEncoding::default());
            let char = b.add_const(char);
            let fmt = b.add_ptr(char);
            let params = [Param { name: "fmt", ty: fmt }, Param { name: "", ty: TypeId::VOID }];
            let proto = b.add_func_proto(int, &params);
            b.add_func("run", proto, Linkage::Static)
        });
        check("", "int none(void)", |b, int, _| {
            let proto = b.add_func_proto(int, &[]);
            b.add_func("none", proto, Linkage::Static)
        });
        check("u", "union {\n} u", |b, _, _| b.add_union("", 4, &[]));
        check("p", "int __attribute__((btf_type_tag(\"user\"))) *p", |b, int, _| {
            let user = b.add_type_tag("user", int);
            b.add_ptr(user)
        });
    }

    #[test]
    fn loops_end() -> Result<(), Error> {
        let mut b = Builder::new();
        b.add_ptr(TypeId(1));
        // A prototype whose two parameters are itself: a tree without end.
        let own = Param { name: "", ty: TypeId(2) };
        b.add_func_proto(TypeId(2), &[own, own]);
        // A struct inside itself.
        let inside = crate::Member { name: "", ty: TypeId(3), bit_offset: 0, bitfield_bits: None };
        b.add_struct("", 8, &[inside, inside]);
        let btf = Btf::from_vec(b.finish()?)?;
        assert!(btf.decl(TypeId(1), "p").len() < 200);
        for id in [2, 3] {
            let text = btf.decl(TypeId(id), "f");
            assert!(text.contains("...") && text.len() < 2 * super::TEXT_BYTES_MAX);
        }
        Ok(())
    }
}
