//! A type as C text, for messages.
//!
//! Input    a type and the name to declare with it
//! Output   a declaration such as `int (*poll)(struct file *, long)`
//! Ensures  bounded: corrupt files may nest types without end, the text then has `...` in it
//! Requires nothing

use crate::read::DEPTH_MAX;
use crate::{Btf, Type, TypeId};

/// Longest text; prototypes nest in parameters, so without it the size may be exponential.
const TEXT_BYTES_MAX: usize = 4096;

impl Btf {
    /// C declaration of `name` with type `id`, such as `struct sk_buff *skb`; without a name, the
    /// type alone. What cannot be told, as in corrupt files, reads `...`.
    pub fn decl(&self, id: TypeId, name: &str) -> String {
        let mut visits = TEXT_BYTES_MAX / 4;
        self.declare(id, Declarator { text: name.to_owned(), is_pointer: false }, DEPTH_MAX, &mut visits)
    }

    /// C declares from the inside out: the declarator grows around the name until a type with a
    /// name of its own ends it.
    fn declare(&self, id: TypeId, mut decl: Declarator, depth: usize, visits: &mut usize) -> String {
        let mut at = id;
        // `const` and its kin before the base type; after a pointer they belong to the declarator.
        let mut qualifiers = String::new();
        for _ in 0..DEPTH_MAX {
            if depth == 0 || *visits == 0 || decl.text.len() > TEXT_BYTES_MAX {
                break;
            }
            *visits -= 1;
            let Ok(ty) = self.ty(at) else { break };
            at = match ty {
                Type::Ptr(to) => {
                    decl = decl.pointer(&qualifiers);
                    qualifiers.clear();
                    to
                }
                Type::Array { elem, len, .. } => {
                    let len = if len == 0 { String::new() } else { len.to_string() };
                    decl = decl.suffix(&format!("[{len}]"));
                    elem
                }
                Type::FuncProto(proto) => {
                    let mut params: Vec<String> = Vec::with_capacity(proto.len().min(16));
                    for param in proto.params() {
                        if *visits == 0 {
                            break;
                        }
                        let inner = Declarator { text: param.name.to_owned(), is_pointer: false };
                        params.push(self.declare(param.ty, inner, depth - 1, visits));
                    }
                    if proto.is_variadic() || params.len() < proto.len() {
                        params.push("...".to_owned());
                    } else if params.is_empty() {
                        params.push("void".to_owned());
                    }
                    decl = decl.suffix(&format!("({})", params.join(", ")));
                    proto.ret()
                }
                Type::Const(to) => qualify(&mut qualifiers, "const", to),
                Type::Volatile(to) => qualify(&mut qualifiers, "volatile", to),
                Type::Restrict(to) => qualify(&mut qualifiers, "restrict", to),
                Type::TypeTag { name, ty, .. } => qualify(&mut qualifiers, &format!("__{name}"), ty),
                Type::Func { name, proto, .. } => {
                    decl.text = name.to_owned();
                    proto
                }
                Type::Var { name, ty, .. } => {
                    decl.text = name.to_owned();
                    ty
                }
                Type::DeclTag { ty, .. } => ty,
                Type::Void => return decl.end(&qualifiers, "void"),
                Type::Int { name, .. } | Type::Float { name, .. } | Type::Typedef { name, .. } => {
                    return decl.end(&qualifiers, name);
                }
                Type::Struct(c) => return decl.end(&qualifiers, &tagged("struct", c.name())),
                Type::Union(c) => return decl.end(&qualifiers, &tagged("union", c.name())),
                Type::Enum(e) => return decl.end(&qualifiers, &tagged("enum", e.name())),
                Type::Fwd { name, is_union } => {
                    return decl.end(&qualifiers, &tagged(if is_union { "union" } else { "struct" }, name));
                }
                Type::DataSec(d) => return decl.end(&qualifiers, d.name()),
            };
        }
        decl.end(&qualifiers, "...")
    }
}

fn qualify(qualifiers: &mut String, word: &str, to: TypeId) -> TypeId {
    qualifiers.push_str(word);
    qualifiers.push(' ');
    to
}

fn tagged(keyword: &str, name: &str) -> String {
    if name.is_empty() { format!("{keyword} {{...}}") } else { format!("{keyword} {name}") }
}

/// The part of a declaration around the name.
struct Declarator {
    text: String,
    /// It starts with `*`: an array or function suffix needs parentheses around it.
    is_pointer: bool,
}

impl Declarator {
    fn pointer(self, qualifiers: &str) -> Self {
        let space = if self.is_pointer || self.text.is_empty() { qualifiers.trim_end() } else { qualifiers };
        Self { text: format!("*{space}{}", self.text), is_pointer: true }
    }

    fn suffix(self, suffix: &str) -> Self {
        let Self { text, is_pointer } = self;
        let text = if is_pointer { format!("({text}){suffix}") } else { format!("{text}{suffix}") };
        Self { text, is_pointer: false }
    }

    fn end(self, qualifiers: &str, base: &str) -> String {
        let glue = if self.text.is_empty() || self.text.starts_with('[') { "" } else { " " };
        format!("{qualifiers}{base}{glue}{}", self.text)
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
        check("p", "int *const p", |b, int, _| {
            let ptr = b.add_ptr(int);
            b.add_const(ptr)
        });
        check("a", "int *a[4]", |b, int, _| {
            let ptr = b.add_ptr(int);
            b.add_array(ptr, int, 4)
        });
        check("a", "int (*a)[4][]", |b, int, _| {
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
        check("u", "union {...} u", |b, _, _| b.add_union("", 4, &[]));
        check("u", "__user int u", |b, int, _| b.add_type_tag("user", int));
    }

    #[test]
    fn loops_end() -> Result<(), Error> {
        let mut b = Builder::new();
        b.add_ptr(TypeId(1));
        // A prototype whose two parameters are itself: a tree without end.
        let own = Param { name: "", ty: TypeId(2) };
        b.add_func_proto(TypeId(2), &[own, own]);
        let btf = Btf::from_vec(b.finish()?)?;
        assert!(btf.decl(TypeId(1), "p").starts_with("... *"));
        assert!(btf.decl(TypeId(2), "f").contains("..."));
        Ok(())
    }
}
