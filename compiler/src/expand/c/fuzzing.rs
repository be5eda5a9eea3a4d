//! Reads a preamble and headers from anywhere: the body of a fuzz target, which a test runs for a second as
//! well.
//!
//! Input    any bytes: the script's C items, then headers `a.h`, `b.h`, … each behind a zero byte
//! Output   nothing
//! Ensures  no panic, bounded time; what was read can be written as BTF

use super::{Headers, World, read_preamble};
use crate::diag::{Colour, Sources, render};
use crate::fields::{KernelNames, preamble_btf};
use crate::kernel::Kernel;
use crate::syntax::ast::{CItem, CItemKind, Span, Tag};

/// Macros whose value is asked for.
const MACROS_MAX: usize = 64;

/// The whole way from text to types.
pub fn preamble(kernel: &Kernel, data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|b| *b == 0).collect();
    let (script, files) = parts.split_first().map_or((&[][..], &[][..]), |(script, files)| (*script, files));
    let read = |path: &str| {
        let index = path.strip_suffix(".h")?.bytes().last()?.checked_sub(b'a')?;
        files.get(usize::from(index)).map(|bytes| bytes.to_vec())
    };
    let text = String::from_utf8_lossy(script).into_owned();
    let span = Span::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
    let items = [CItem { kind: CItemKind::Definition, text: text.clone(), span }];
    let system = ["/x".to_owned(), "/y".to_owned()];
    let names = KernelNames::new(kernel);
    let extent = |tag: Option<Tag>, name: &str| names.extent(tag, name);
    let headers = Headers { system: &system, read: &read, ..Headers::NONE };
    let world = World { headers, kernel: &extent };
    let (mut sources, mut diags) = (Sources::of("a.bt", &text), Vec::new());
    let (preamble, definitions) = read_preamble(&items, &world, &mut sources, &mut diags);
    for name in definitions.names().iter().take(MACROS_MAX) {
        let _ = (definitions.define(name), definitions.constant(name));
    }
    drop(definitions);
    diags.extend(preamble.unreadable.values().cloned());
    let (btf, more) = preamble_btf(&preamble, &names);
    diags.extend(more);
    render(&diags, &sources, Colour::Never);
    for id in btf.iter().flat_map(|btf| btf.ids()) {
        let size = btf.as_ref().map(|btf| (btf.size_of(id), btf.align_of(id)));
        assert!(size.is_some(), "a type has a file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const SAMPLES: [&str; 4] = [
        "#include <a.h>\nstruct s { struct sock k; int a:3, *b[N], (*f)(int); } __attribute__((packed));\0\
         #ifndef A\n#define A\n#include \"b.h\"\n#pragma pack(push, 1)\nunion u { char c; long l; };\n#endif\0\
         #define N (sizeof(struct t) << 1)\nstruct t { long double d; char x[]; };\n",
        "#define f(a, ...) a ## __VA_ARGS__ #a\n#define g f(x, f(1)) g\n#if g || defined(g) && -1 > 0u ? 'x' : 2\n\
         #elif 1\n#endif\nenum e { X = f(1, 2), Y = __builtin_offsetof(struct sock, n) };",
        "typedef unsigned long t __attribute__((aligned(2), mode(QI))); typedef t a[3][4], (*p)(void);\n\
         extern inline int f(void) { return sizeof(int); } struct q { a b; p c; t d:7; _Bool :0; };",
        "#include_next <a.h>\n#define M M\n#undef M\n#error x\n#else\n_Static_assert(1, \"\"); enum { A = ~0UL, B };",
    ];

    #[test]
    fn damaged_texts_are_survived() {
        let mut b = btf::Builder::new();
        let int = b.add_int("int", 4, btf::IntEncoding::default());
        b.add_struct("sock", 4, &[btf::Member { name: "n", ty: int, bit_offset: 0, bitfield_bits: None }]);
        let kernel = Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written");
        let (start, mut state) = (Instant::now(), 0x9e37_79b9_7f4a_7c15_u64);
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
        };
        while start.elapsed() < Duration::from_secs(1) {
            let mut text = SAMPLES[random(SAMPLES.len())].as_bytes().to_vec();
            for _ in 0..=random(4) {
                let other = SAMPLES[random(SAMPLES.len())].as_bytes();
                let (from, at) = (random(other.len()), random(text.len()));
                let len = random(other.len() - from).min(24);
                let end = (at + random(16)).min(text.len());
                text.splice(at..end, other[from..from + len].iter().copied());
            }
            preamble(&kernel, &text);
        }
    }
}
