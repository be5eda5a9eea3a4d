//! Text of kernel and user stacks: a newline, then one line a frame, the leaf first.

use super::host::Symbols;
use super::value::integer;
use manifest::StackMode;
use std::fmt::Write;

/// An address without a symbol. bpftrace prints a null address as `%p` does.
pub(super) fn address(addr: u64) -> String {
    if addr == 0 { "0".to_owned() } else { format!("0x{addr:x}") }
}

/// Addresses of the frames; a count beyond the room there is stops at the room.
fn frames(count: u64, addrs: &[u8]) -> impl Iterator<Item = u64> {
    addrs.chunks_exact(8).map(integer).take(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Text of a kernel stack.
pub(super) fn kernel(mode: StackMode, count: u64, addrs: &[u8], symbols: &mut dyn Symbols) -> Vec<u8> {
    text(mode, frames(count, addrs), |addr| {
        let (name, offset) = symbols.ksym(addr)?;
        Some((format!("{name}+{offset}"), None))
    })
}

/// Text of a process's stack.
pub(super) fn user(
    mode: StackMode,
    pid: u32,
    count: u64,
    addrs: &[u8],
    symbols: &mut dyn Symbols,
) -> Vec<u8> {
    text(mode, frames(count, addrs), |addr| {
        let symbol = symbols.usym(pid, addr)?;
        Some((format!("{}+{}", symbol.name, symbol.offset), Some(symbol.module)))
    })
}

/// `name` gives `symbol+offset` and, for user addresses, the module.
fn text(
    mode: StackMode,
    frames: impl Iterator<Item = u64>,
    mut name: impl FnMut(u64) -> Option<(String, Option<String>)>,
) -> Vec<u8> {
    let mut text = String::from("\n");
    for addr in frames {
        // Writing to a `String` cannot fail.
        let _ = match mode {
            StackMode::Raw => writeln!(text, "{addr:x}"),
            StackMode::Bpftrace => match name(addr) {
                Some((symbol, _)) => writeln!(text, "        {symbol}"),
                None => writeln!(text, "        {}", address(addr)),
            },
            StackMode::Perf => match name(addr) {
                Some((symbol, Some(module))) => writeln!(text, "\t{addr:x} {symbol} ({module})"),
                Some((symbol, None)) => writeln!(text, "\t{addr:x} {symbol}"),
                None => writeln!(text, "\t{addr:x} {} ([unknown])", address(addr)),
            },
        };
    }
    text.into_bytes()
}
