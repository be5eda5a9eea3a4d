//! The kernel's symbols, in one sorted table.
//!
//! blazesym's reader of the same file keeps every name in an allocation of its own, about three times the
//! memory. Which symbols count, and that an address belongs to the one before it however far away, is
//! bpftrace's behaviour. Of several symbols at an address the last line counts; bpftrace's choice varies.

use std::io::BufRead;

/// Bytes of names kept at the most; a kernel with all its modules has about 4 MB.
const NAMES_BYTES_MAX: usize = 64 << 20;

/// Addresses and names of functions; of those loaded later nothing is known.
#[derive(Default)]
pub(super) struct Kallsyms {
    /// Address, and where its NUL-terminated name starts; by address.
    symbols: Vec<(u64, u32)>,
    names: Vec<u8>,
}

impl Kallsyms {
    /// Reads lines `address type name [module]`. Lines of another form are skipped, as are data
    /// (`b`, `d`, `r`), per-CPU offsets (`a`) and, where the kernel hides them, addresses of 0.
    pub(super) fn read(mut lines: impl BufRead) -> Kallsyms {
        let mut table = Kallsyms::default();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if let Some((addr, name)) = symbol(&line)
                && table.names.len() + name.len() < NAMES_BYTES_MAX
            {
                table.symbols.push((addr, table.names.len() as u32));
                table.names.extend_from_slice(name);
                table.names.push(0);
            }
            line.clear();
        }
        table.symbols.sort_by_key(|(addr, _)| *addr);
        table.symbols.shrink_to_fit();
        table.names.shrink_to_fit();
        table
    }

    /// The last symbol at or before an address, and the distance from it.
    pub(super) fn find(&self, addr: u64) -> Option<(String, u64)> {
        let after = self.symbols.partition_point(|(start, _)| *start <= addr);
        let (start, name) = self.symbols.get(after.checked_sub(1)?)?;
        let name = self.names.get(*name as usize..)?.split(|byte| *byte == 0).next()?;
        Some((String::from_utf8_lossy(name).into_owned(), addr - start))
    }
}

fn symbol(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let addr = u64::from_str_radix(str::from_utf8(words.next()?).ok()?, 16).ok()?;
    let kind = words.next()?.to_ascii_lowercase();
    let name = words.next()?;
    let counts = addr != 0 && addr != u64::MAX && !matches!(kind.as_slice(), b"a" | b"b" | b"d" | b"r");
    counts.then_some((addr, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
0000000000000000 A fixed_percpu_data
0000000000001000 A cpu_debug_store
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t do_one
ffffffff82000000 D init_task
ffffffffc0001000 t nf_tables_newtable\t[nf_tables]
ffffffffc0000900 r constant\t[other]
ffffffffc0000800 t early\t[other]
nonsense
ffffffffc0002000
";

    fn found(addr: u64) -> Option<(String, u64)> {
        Kallsyms::read(LINES.as_bytes()).find(addr)
    }

    #[test]
    fn addresses() {
        for (addr, expected) in [
            (0, None),
            (0x1000, None),
            (0xffff_ffff_80ff_ffff, None),
            (0xffff_ffff_8100_0000, Some(("startup_64", 0))),
            (0xffff_ffff_8100_00ff, Some(("startup_64", 0xff))),
            (0xffff_ffff_8100_0101, Some(("do_one", 1))),
            (0xffff_ffff_8200_0000, Some(("do_one", 0xff_ff00))),
            (0xffff_ffff_c000_0801, Some(("early", 1))),
            (0xffff_ffff_c000_1010, Some(("nf_tables_newtable", 16))),
        ] {
            assert_eq!(found(addr), expected.map(|(name, at)| (name.to_owned(), at)), "{addr:x}");
        }
    }

    #[test]
    fn hidden_addresses_give_nothing() {
        assert_eq!(Kallsyms::read(&b"0000000000000000 T _text\n"[..]).find(u64::MAX), None);
        assert_eq!(Kallsyms::read(&b"\xff\n\n 1 2"[..]).find(u64::MAX), None);
    }
}
