//! Turns the typed tree into CLIF functions and the manifest.
//!
//! Input    `types::tree::Program`, the kernel types it names, settings of the run
//! Output   the code generator's `Module` and the loader's `Manifest`
//! Requires a program that type-checks: lowering reports only what BPF cannot do
//! Ensures  one function per probe; the same input gives the same output
//! Absences no I/O; nothing of the build host but the types of its kernel description, and those only
//!          as the local side of CO-RE relocations
//!
//! Scalars are 64-bit CLIF values, extended by the sign of their type. Everything else lives in
//! memory ([`Mem`]) and is produced where it is wanted: see [`Lower::lower_into`]. Hazards of the
//! kernel's verifier and of the mid-end, with their remedies, are in each file's head.

mod aggregate;
mod bit_fields;
mod by_value;
pub mod codes;
mod compare;
mod cond;
mod convert;
mod core_types;
mod event;
mod expr;
mod externs;
mod facts;
mod finish;
mod function;
mod globals;
pub(crate) mod helper;
mod histogram;
mod kernel_read;
mod keys;
mod layout;
mod loops;
mod map_types;
mod maps;
mod memory;
mod names;
mod object;
mod ops;
mod place;
mod prototype;
mod runtime_error;
mod scratch;
mod stmt;
mod strings;
mod usage;
mod vars;
mod words;

#[cfg(test)]
mod tests;

use cranelift_codegen::ir::{self, InstBuilder as _, types};
use cranelift_frontend::FunctionBuilder;

use crate::diag::{Diag, Sources};
use crate::fields::Fields;
use crate::syntax::ast::Span;
use crate::types::tree::{self, Expr, Program};

pub(crate) use event::Format;
pub(crate) use expr::Dest;
pub use expr::Value;
pub(crate) use facts::Pure;
pub use finish::{Lowered, lower};
pub use memory::{Base, Mem, Region};
pub(crate) use object::{Object, Shared};

/// What a builtin without code of its own lowers to: a report that it is not there yet.
pub(crate) fn unsupported(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    let what = match &e.kind {
        tree::ExprKind::Call { builtin, .. } => format!("`{}` is", builtin.name),
        _ => "this is".to_owned(),
    };
    l.unsupported(&what, e.span);
    match &e.ty {
        ty if ty.is_scalar() => Value::Scalar(l.iconst(0)),
        ty if ty.size() > 0 => Value::Memory(l.destination(e).mem),
        _ => Value::None,
    }
}

/// Settings that shape the object.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the script as shown.
    pub name: String,
    /// Text of the script.
    pub text: String,
    /// License of the programs.
    pub license: String,
    /// Entries of a map without declaration.
    pub max_map_keys: u32,
    /// Largest object on the stack, in bytes.
    pub on_stack_limit: u32,
    /// Settings for the loader.
    pub run: manifest::Config,
}

/// Everything lowering reads.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The script.
    pub program: &'a Program,
    /// Types of the kernel.
    pub fields: &'a Fields<'a>,
    /// Texts that spans point into.
    pub sources: &'a Sources,
    /// Settings.
    pub settings: &'a Settings,
}

/// Lowers one function: a program or a loop's callback.
pub struct Lower<'a> {
    pub(crate) object: &'a mut Object,
    pub(crate) input: Input<'a>,
    pub(crate) probe: &'a tree::Probe,
    pub(crate) b: FunctionBuilder<'a>,
    /// What the program's functions share.
    pub(crate) shared: &'a mut function::ProgramState,
    /// The context, unless this is a callback.
    ctx: Option<ir::Value>,
    /// Variables that callbacks share.
    frame: Option<Mem>,
    vars: Vec<Option<vars::VarPlace>>,
    pub(crate) facts: facts::Facts,
    temps: scratch::Temps,
    loops: Vec<loops::Target>,
    exit: ir::Block,
    pending: Option<expr::Dest>,
    /// The event that is being filled.
    record: Option<ir::Value>,
    /// Nobody looks at the value of the call that is being lowered.
    pub(crate) discarded: bool,
    /// False behind a `return`: nothing more is emitted.
    pub(crate) reachable: bool,
}

impl<'a> Lower<'a> {
    /// The constant as a 64-bit value.
    pub(crate) fn iconst(&mut self, value: u64) -> ir::Value {
        self.b.ins().iconst(types::I64, value as i64)
    }

    /// Calls a helper and gives what it returns.
    pub(crate) fn call_helper(&mut self, id: u32, args: &[ir::Value]) -> ir::Value {
        let helper = codegen_bpf::abi::helper(self.b.func, id, args.len());
        let call = self.b.ins().call(helper, args);
        self.b.inst_results(call)[0]
    }

    /// Calls a helper that returns nothing.
    pub(crate) fn call_void_helper(&mut self, id: u32, args: &[ir::Value]) {
        let mut sig = codegen_bpf::abi::signature(args.len());
        sig.returns.clear();
        let helper = codegen_bpf::abi::helper_with(self.b.func, id, sig);
        self.b.ins().call(helper, args);
    }

    /// The address of map `index` of the object.
    pub(crate) fn map_address(&mut self, index: u32) -> ir::Value {
        let symbol = codegen_bpf::abi::map(self.b.func, index);
        self.b.ins().symbol_value(types::I64, symbol)
    }

    /// The address of variable `index` of the object.
    pub(crate) fn data_address(&mut self, index: u32) -> ir::Value {
        let symbol = codegen_bpf::abi::data(self.b.func, index);
        self.b.ins().symbol_value(types::I64, symbol)
    }

    /// The value of a helper without arguments whose result never changes while a program runs.
    pub(crate) fn pure_helper(&mut self, what: Pure, id: u32) -> ir::Value {
        if let Some(known) = self.facts.get(what) {
            return known;
        }
        let value = self.call_helper(id, &[]);
        self.facts.set(what, value);
        value
    }

    /// The program's context.
    ///
    /// # Panics
    /// In a loop's callback, where the checker lets nothing use it.
    pub(crate) fn context(&self) -> ir::Value {
        self.ctx.expect("loop bodies have no context; the checker refuses its users there")
    }

    /// Whether the context is at hand.
    pub(crate) fn has_context(&self) -> bool {
        self.ctx.is_some()
    }

    /// Reports something that BPF, or this compiler yet, cannot do.
    pub(crate) fn unsupported(&mut self, what: &str, span: Span) {
        self.object.diags.push(Diag::unsupported(what, span));
    }

    /// Instructions from here on belong to `span`; texts other than the script keep the place of the
    /// use.
    pub(crate) fn at(&mut self, span: Span) {
        if let Some((name, line, column)) = self.input.sources.location(span.start)
            && name == self.input.settings.name
        {
            self.b.set_srcloc(codegen_bpf::abi::srcloc(line as u32, column as u32));
        }
    }

    /// A place of the script for messages at run time.
    pub(crate) fn place_of(&self, span: Span) -> manifest::Place {
        let at = |offset| self.input.sources.location(offset);
        let (line, column) = at(span.start).map_or((1, 1), |(_, line, column)| (line, column));
        let end_column = match at(span.end) {
            Some((_, end_line, end)) if end_line == line => end,
            _ => column + 1,
        };
        manifest::Place { line: line as u32, column: column as u32, end_column: end_column as u32 }
    }

    /// A number for an event, as a value.
    pub(crate) fn event(&mut self, event: manifest::Event) -> ir::Value {
        let number = self.object.event(event);
        self.iconst(number.into())
    }

    /// A number for a format of `strftime`.
    pub(crate) fn time_format(&mut self, format: &str) -> u32 {
        self.object.format(format)
    }

    /// What the program attaches to.
    pub(crate) fn target(&self) -> &'a crate::resolve::Target {
        &self.probe.target
    }

    /// The value of an argument that the checker has made a literal.
    pub(crate) fn literal(&self, expr: &Expr) -> Option<u64> {
        match &expr.kind {
            tree::ExprKind::Int(value) => Some(*value),
            tree::ExprKind::Cast(of) => self.literal(of),
            _ => None,
        }
    }
}
