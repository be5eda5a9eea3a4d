//! Types as text for messages, in the script's spelling (LANGUAGE §2.1).

use super::{Composite, Fields};
use crate::kernel::BtfId;
use crate::types::{Agg, Int, Ty};
use btf::{Type, TypeId};

impl Fields<'_> {
    /// The type's spelling: `uint32`, `string[16]`, `struct sock *`, `(int8,string[3])`.
    pub fn show(&self, ty: &Ty) -> String {
        match ty {
            Ty::None => "none".to_owned(),
            Ty::Void => "void".to_owned(),
            Ty::Bool => "bool".to_owned(),
            Ty::Int(int) => show_int(*int),
            Ty::Enum(int, of) => match self.type_name(of.btf, of.id) {
                "" => show_int(*int),
                name => format!("enum {name}"),
            },
            Ty::Ptr(to, _) => format!("{} *", self.show(to)),
            Ty::Array(of, len) => format!("{}[{len}]", self.show(of)),
            Ty::String(size) => format!("string[{size}]"),
            Ty::Buffer(size) => format!("buffer[{size}]"),
            Ty::Struct(composite) => self.show_composite(*composite),
            Ty::Args => "args".to_owned(),
            Ty::Tuple(fields) => {
                let fields: Vec<_> = fields.iter().map(|field| self.show(field)).collect();
                format!("({})", fields.join(","))
            }
            Ty::Record(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, ty)| format!(".{name} = {}", self.show(ty))).collect();
                format!("record {{ {} }}", fields.join(", "))
            }
            Ty::Inet => "inet".to_owned(),
            Ty::Mac => "mac_address".to_owned(),
            Ty::Ksym => "ksym_t".to_owned(),
            Ty::Usym => "usym_t".to_owned(),
            Ty::Username => "username_t".to_owned(),
            Ty::Timestamp => "timestamp".to_owned(),
            Ty::CgroupPath => "cgroup_path_t".to_owned(),
            Ty::Kstack(..) => "kstack".to_owned(),
            Ty::Ustack(..) => "ustack".to_owned(),
            Ty::Agg(agg) => show_agg(*agg).to_owned(),
        }
    }

    fn show_composite(&self, composite: Composite) -> String {
        let keyword = self.keyword(composite.btf, composite.id);
        match self.type_name(composite.btf, composite.id) {
            "" => format!("anonymous {keyword}"),
            name => format!("{keyword} {name}"),
        }
    }

    /// `struct` or `union`.
    pub(crate) fn keyword(&self, btf: BtfId, id: TypeId) -> &'static str {
        match self.btf(btf).ty(id) {
            Ok(Type::Union(_) | Type::Fwd { is_union: true, .. }) => "union",
            _ => "struct",
        }
    }
}

fn show_int(int: Int) -> String {
    format!("{}int{}", if int.signed { "" } else { "u" }, u32::from(int.size) * 8)
}

fn show_agg(agg: Agg) -> &'static str {
    match agg {
        Agg::Count => "count_t",
        Agg::Sum { signed: true } => "sum_t",
        Agg::Sum { signed: false } => "usum_t",
        Agg::Min { signed: true } => "min_t",
        Agg::Min { signed: false } => "umin_t",
        Agg::Max { signed: true } => "max_t",
        Agg::Max { signed: false } => "umax_t",
        Agg::Avg { signed: true } => "avg_t",
        Agg::Avg { signed: false } => "uavg_t",
        Agg::Stats { signed: true } => "stats_t",
        Agg::Stats { signed: false } => "ustats_t",
        Agg::Hist { .. } => "hist_t",
        Agg::Lhist { .. } => "lhist_t",
    }
}
