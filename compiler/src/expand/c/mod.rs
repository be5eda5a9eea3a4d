//! The C preamble: preprocessor lines, and struct, union, enum and typedef definitions.

mod constant;
mod declare;
mod headers;
mod preprocess;
mod token;
mod types;

pub use types::{
    CComposite, CEnum, CEnumerator, CIntKind, CMember, CType, CTypedef, CompositeIdx, EnumIdx, Preamble,
};

pub(super) use preprocess::Defines;

use self::declare::Reader;
use self::preprocess::preprocess;
use crate::diag::Diag;
use crate::syntax::ast::CItem;

/// Reads the C items of a script; BTF counts as present.
pub(super) fn read_preamble(items: &[CItem], diags: &mut Vec<Diag>) -> (Preamble, Defines) {
    let (definitions, defines) = preprocess(items, diags);
    let mut reader = Reader::new(&defines);
    for item in definitions {
        if let Err(diag) = reader.read_definition(item) {
            diags.push(*diag);
        }
    }
    (reader.finish(), defines)
}
