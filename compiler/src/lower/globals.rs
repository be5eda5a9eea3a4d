//! Global variables and constants: what the loader fills in, read-only bytes, the counter of lost
//! events, numbers the optimiser must not see.

use btf::{IntEncoding, TypeId};
use codegen_bpf::{Data, DataInit};
use cranelift_codegen::ir::{self, InstBuilder as _, types};
use manifest::{Global, GlobalRole, ParameterValue};

use super::expr::Dest;
use super::memory::repr;
use super::{Lower, Mem, Object, Region, names};
use crate::types::Ty;
use crate::types::tree::ParamId;

impl Object {
    /// The counter of events there was no room for.
    pub(crate) fn lost_events(&mut self) -> u32 {
        match self.lost {
            Some(data) => data,
            None => {
                let ty = self.int_type(8, false);
                let data = self.add_data(manifest::LOST_EVENTS, ".bss", DataInit::Zero(8), 8, ty);
                *self.lost.insert(data)
            }
        }
    }

    /// A read-only string, NUL-terminated; equal ones share one variable.
    pub(crate) fn string(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(&known) = self.strings.get(&bytes) {
            return known;
        }
        let name = self.symbol("str", usize::MAX);
        let char = self.module.btf.add_int("char", 1, IntEncoding { signed: true, ..IntEncoding::default() });
        let index = self.int_type(4, false);
        let array = self.module.btf.add_array(char, index, bytes.len() as u32);
        let ty = self.module.btf.add_const(array);
        let data = self.add_data(&name, ".rodata", DataInit::Bytes(bytes.clone()), 8, ty);
        self.strings.insert(bytes, data);
        data
    }

    /// Adds a variable.
    pub(crate) fn add_data(
        &mut self,
        name: &str,
        section: &str,
        init: DataInit,
        align: u32,
        ty: TypeId,
    ) -> u32 {
        let data = Data { name: name.to_owned(), section: section.to_owned(), init, align, ty };
        self.module.data.push(data);
        self.module.data.len() as u32 - 1
    }

    /// A read-only global of `size` bytes that the loader fills in.
    pub(crate) fn global(&mut self, role: GlobalRole, init: Vec<u8>) -> u32 {
        if let Some(known) = self.globals.iter().find(|g| g.role == role) {
            let data = self.module.data.iter().position(|d| d.name == known.symbol);
            return data.expect("each global has its variable") as u32;
        }
        let symbol = self.symbol(&names::of_global(&role), usize::MAX);
        let int = self.int_type(8, false);
        let ty = if init.len() == 8 {
            int
        } else {
            let char =
                self.module.btf.add_int("char", 1, IntEncoding { signed: true, ..IntEncoding::default() });
            let index = self.int_type(4, false);
            self.module.btf.add_array(char, index, init.len() as u32)
        };
        let volatile = self.module.btf.add_volatile(ty);
        let ty = self.module.btf.add_const(volatile);
        self.globals.push(Global { symbol: symbol.clone(), role });
        self.add_data(&symbol, ".rodata", DataInit::Bytes(init), 8, ty)
    }

    /// A number that the optimiser does not see through.
    pub(crate) fn opaque(&mut self, value: i64) -> u32 {
        let constants = &mut self.module.constants;
        *self.constants.entry(value).or_insert_with(|| {
            constants.push(value);
            constants.len() as u32 - 1
        })
    }
}

impl Lower<'_> {
    /// The value of a read-only global that the loader fills in.
    pub(crate) fn read_global(&mut self, role: GlobalRole) -> ir::Value {
        let data = self.object.global(role, vec![0; 8]);
        let address = self.data_address(data);
        self.load_u64(Mem::at(address, Region::Rodata))
    }

    /// The address of read-only bytes.
    pub(crate) fn rodata(&mut self, bytes: Vec<u8>) -> ir::Value {
        let data = self.object.string(bytes);
        self.data_address(data)
    }

    /// A constant that the optimiser leaves alone: divisors, say (CODEGEN section 5.1).
    pub(crate) fn opaque(&mut self, value: i64) -> ir::Value {
        let index = self.object.opaque(value);
        let symbol = codegen_bpf::abi::constant(self.b.func, index);
        self.b.ins().symbol_value(types::I64, symbol)
    }

    /// The value of a numeric parameter.
    pub(crate) fn parameter(&mut self, param: ParamId) -> ir::Value {
        let role = self.input.program.parameters[param.0 as usize].0.clone();
        let data = self.object.global(role.clone(), initial(&role));
        let address = self.data_address(data);
        self.load_int(Mem::at(address, Region::Rodata), repr(&Ty::U64))
    }

    /// Copies the text of a parameter.
    pub(crate) fn parameter_into(&mut self, param: ParamId, ty: &Ty, dst: Dest) {
        let role = self.input.program.parameters[param.0 as usize].0.clone();
        let init = initial(&role);
        let size = ty.size().min(init.len() as u32);
        let data = self.object.global(role, init);
        let src = self.data_address(data);
        self.copy(dst.mem, Mem::at(src, Region::Rodata), size);
    }
}

/// The bytes of a parameter's global until the loader writes it: the default.
pub(super) fn initial(role: &GlobalRole) -> Vec<u8> {
    let text = |value: &str, size: u32| {
        let mut bytes = value.as_bytes().to_vec();
        bytes.truncate(size.saturating_sub(1) as usize);
        bytes.resize(size as usize, 0);
        bytes
    };
    match role {
        GlobalRole::PositionalStr { size, .. } => text("", *size),
        GlobalRole::Named(parameter) => match &parameter.default {
            ParameterValue::Bool(value) => u64::from(*value).to_le_bytes().to_vec(),
            ParameterValue::Int(value) => value.to_le_bytes().to_vec(),
            ParameterValue::Uint(value) => value.to_le_bytes().to_vec(),
            ParameterValue::Str { value, size } => text(value, *size),
        },
        _ => vec![0; 8],
    }
}
