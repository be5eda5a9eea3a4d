//! Random CLIF from a list of random numbers, so that a shorter list is a smaller program.

use std::fmt::Write as _;

const TYPES: [&str; 4] = ["i8", "i16", "i32", "i64"];
const BITS: [u32; 4] = [8, 16, 32, 64];
const CONDS: [&str; 10] = ["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"];
const BINARY: [&str; 21] = [
    "iadd", "isub", "imul", "umulhi", "smulhi", "udiv", "urem", "sdiv", "srem", "band", "bor", "bxor",
    "ishl", "ushr", "sshr", "rotl", "rotr", "umin", "umax", "smin", "smax",
];
const UNARY: [&str; 8] = ["ineg", "bnot", "iabs", "popcnt", "clz", "ctz", "bitrev", "bmask"];
const OVERFLOW: [&str; 6] =
    ["uadd_overflow", "sadd_overflow", "usub_overflow", "ssub_overflow", "umul_overflow", "smul_overflow"];

/// Bytes of memory programs may touch, and of each of the two stack slots.
pub(crate) const MEMORY_BYTES: usize = 64;

/// A value: number and index into `TYPES`.
type Val = (u32, usize);

struct Gen<'a> {
    words: std::slice::Iter<'a, u32>,
    text: String,
    next: u32,
    /// Values of the entry block, visible everywhere.
    global: Vec<Val>,
    local: Vec<Val>,
    /// The first parameter of the current block.
    counter: u32,
}

/// The text of a function of (memory address, i64, i64, i64).
pub(crate) fn function(words: &[u32]) -> String {
    let mut g = Gen {
        words: words.iter(),
        text: String::new(),
        next: 4,
        global: Vec::new(),
        local: Vec::new(),
        counter: 0,
    };
    g.global = vec![(1, 3), (2, 3), (3, 3)];
    let blocks = 1 + g.pick(5);
    let per_block = 1 + words.len() / (6 * blocks);
    let loops: Vec<bool> = (0..blocks).map(|block| block > 0 && g.pick(3) == 0).collect();
    let params: Vec<Vec<usize>> = loops
        .iter()
        .enumerate()
        .map(|(block, is_loop)| {
            // A loop's first parameter counts.
            let own = if block == 0 { 0 } else { g.pick(3) };
            let own = (0..own).map(|_| g.pick(4));
            std::iter::repeat_n(3, usize::from(*is_loop)).chain(own.collect::<Vec<_>>()).collect()
        })
        .collect();
    let mut out = String::from(
        "function %prog(i64, i64, i64, i64) -> i64 system_v {
    gv0 = symbol u5:0
    gv1 = symbol u5:1
    ss0 = explicit_slot 64
    ss1 = explicit_slot 64
    sig0 = (i64) -> i64 system_v
    sig1 = (i64, i64, i64) -> i64 system_v
    fn0 = u1:1001 sig0
    fn1 = u1:3002 sig1
block0(v0: i64, v1: i64, v2: i64, v3: i64):
",
    );
    for block in 0..blocks {
        g.local.clear();
        g.text.clear();
        if block > 0 {
            let list: Vec<String> = params[block]
                .iter()
                .map(|ty| {
                    let value = g.fresh(*ty);
                    format!("v{}: {}", value.0, TYPES[*ty])
                })
                .collect();
            g.counter = g.local.first().map_or(0, |(v, _)| *v);
            let list = if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) };
            let _ = writeln!(out, "block{block}{list}:");
        } else {
            g.stack_setup();
        }
        for _ in 0..per_block {
            g.operation();
        }
        g.terminator(block, &params, &loops);
        out += &g.text;
        if block == 0 {
            let local = std::mem::take(&mut g.local);
            g.global.extend(local);
        }
    }
    out + "}\n"
}

impl Gen<'_> {
    fn word(&mut self) -> u32 {
        self.words.next().copied().unwrap_or(0)
    }

    fn pick(&mut self, below: usize) -> usize {
        self.word() as usize % below
    }

    fn fresh(&mut self, ty: usize) -> Val {
        self.next += 1;
        self.local.push((self.next, ty));
        (self.next, ty)
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "    {text}");
    }

    /// Some value of this type, made if there is none.
    fn value(&mut self, ty: usize) -> u32 {
        let choice = self.word();
        if !choice.is_multiple_of(5) {
            let all: Vec<u32> =
                self.local.iter().chain(&self.global).filter(|(_, t)| *t == ty).map(|(v, _)| *v).collect();
            if !all.is_empty() {
                return all[choice as usize / 5 % all.len()];
            }
        }
        self.number(ty)
    }

    fn number(&mut self, ty: usize) -> u32 {
        let word = u64::from(self.word());
        let number = match word % 7 {
            0 => word >> 8 & 7,
            1 => 1 << (word >> 8 & 63),
            2 => (word >> 8).wrapping_neg(),
            3 => u64::MAX >> (word >> 8 & 63),
            4 => word >> 16,
            5 => word.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            _ => word,
        };
        let number = number & u64::MAX >> (64 - BITS[ty]);
        let (v, _) = self.fresh(ty);
        self.line(format_args!("v{v} = iconst.{} {number:#x}", TYPES[ty]));
        v
    }

    fn stack_setup(&mut self) {
        let (v, a, b) = (self.number(3), self.next + 1, self.next + 2);
        self.next += 2;
        self.line(format_args!("v{a} = stack_addr.i64 ss0"));
        self.line(format_args!("v{b} = stack_addr.i64 ss1"));
        for offset in (0..64).step_by(8) {
            self.line(format_args!("store notrap v{v}, v{a}+{offset}"));
            self.line(format_args!("store notrap v{v}, v{b}+{offset}"));
        }
    }

    /// An address and an offset that leaves room for an access of this type.
    fn place(&mut self, bytes: usize) -> String {
        let at = self.pick(MEMORY_BYTES / bytes) * bytes;
        let base = self.pick(4);
        match base {
            0 | 1 => {
                self.next += 1;
                let v = self.next;
                self.line(format_args!("v{v} = stack_addr.i64 ss{base}"));
                format!("v{v}+{at}")
            }
            2 => {
                let k = self.pick(at + 1);
                self.next += 2;
                let (k_value, sum) = (self.next - 1, self.next);
                self.line(format_args!("v{k_value} = iconst.i64 {k}"));
                self.line(format_args!("v{sum} = iadd v0, v{k_value}"));
                format!("v{sum}+{}", at - k)
            }
            _ => format!("v0+{at}"),
        }
    }

    fn operation(&mut self) {
        let ty = self.pick(4);
        let name = TYPES[ty];
        match self.pick(16) {
            0..=4 => {
                let op = BINARY[self.pick(BINARY.len())];
                let (a, b) = (self.value(ty), self.value(ty));
                let (v, _) = self.fresh(ty);
                self.line(format_args!("v{v} = {op} v{a}, v{b}"));
            }
            5 => {
                let op = UNARY[self.pick(UNARY.len())];
                let a = self.value(ty);
                let (v, _) = self.fresh(ty);
                let suffix = if op == "bmask" { format!(".{name}") } else { String::new() };
                self.line(format_args!("v{v} = {op}{suffix} v{a}"));
            }
            6 => {
                let cond = CONDS[self.pick(10)];
                let (a, b) = (self.value(ty), self.value(ty));
                let (v, _) = self.fresh(0);
                self.line(format_args!("v{v} = icmp {cond} v{a}, v{b}"));
            }
            7 => {
                let (c, x, y) = (self.value(0), self.value(ty), self.value(ty));
                let (v, _) = self.fresh(ty);
                self.line(format_args!("v{v} = select v{c}, v{x}, v{y}"));
            }
            8 => {
                let (from, to) = (self.pick(3), self.pick(3) + 1);
                if from < to {
                    let a = self.value(from);
                    let op = ["uextend", "sextend"][self.pick(2)];
                    let (v, _) = self.fresh(to);
                    self.line(format_args!("v{v} = {op}.{} v{a}", TYPES[to]));
                } else {
                    let a = self.value(3);
                    let (v, _) = self.fresh(from);
                    self.line(format_args!("v{v} = ireduce.{} v{a}", TYPES[from]));
                }
            }
            9 => {
                let place = self.place(BITS[ty] as usize / 8);
                let (v, _) = self.fresh(ty);
                self.line(format_args!("v{v} = load.{name} notrap {place}"));
            }
            10 => {
                let width = self.pick(3);
                let place = self.place(BITS[width] as usize / 8);
                let sign = ["u", "s"][self.pick(2)];
                let (v, _) = self.fresh(3);
                self.line(format_args!("v{v} = {sign}load{}.i64 notrap {place}", BITS[width]));
            }
            11 => {
                let a = self.value(ty);
                let place = self.place(BITS[ty] as usize / 8);
                self.line(format_args!("store notrap v{a}, {place}"));
            }
            12 => {
                let ty = 2 + self.pick(2);
                let op = ["add", "sub", "and", "or", "xor", "xchg"][self.pick(6)];
                let (a, at) = (self.value(ty), 8 * self.pick(8));
                self.next += 2;
                let (k, p) = (self.next - 1, self.next);
                self.line(format_args!("v{k} = iconst.i64 {at}"));
                self.line(format_args!("v{p} = iadd v0, v{k}"));
                let (v, _) = self.fresh(ty);
                self.line(format_args!("v{v} = atomic_rmw.{} notrap {op} v{p}, v{a}", TYPES[ty]));
            }
            13 => {
                let (a, b, c) = (self.value(3), self.value(3), self.value(3));
                let (v, _) = self.fresh(3);
                match self.pick(2) {
                    0 => self.line(format_args!("v{v} = call fn0(v{a})")),
                    _ => self.line(format_args!("v{v} = call fn1(v{a}, v{b}, v{c})")),
                }
            }
            14 => {
                let op = OVERFLOW[self.pick(6)];
                let (a, b) = (self.value(ty), self.value(ty));
                let (v, _) = self.fresh(ty);
                let (o, _) = self.fresh(0);
                self.line(format_args!("v{v}, v{o} = {op} v{a}, v{b}"));
            }
            _ => {
                let which = self.pick(4);
                let (a, x, y) = (self.value(3), self.value(ty), self.value(ty));
                match which {
                    0 => {
                        let (v, _) = self.fresh(3);
                        self.line(format_args!("v{v} = symbol_value.i64 gv{}", a % 2));
                    }
                    1 => {
                        let (v, _) = self.fresh(3);
                        self.line(format_args!("v{v} = cls v{a}"));
                    }
                    2 if ty > 0 => {
                        let (v, _) = self.fresh(ty);
                        self.line(format_args!("v{v} = bswap v{x}"));
                    }
                    _ => {
                        let c = self.value(ty);
                        let (v, _) = self.fresh(ty);
                        self.line(format_args!("v{v} = bitselect v{c}, v{x}, v{y}"));
                    }
                }
            }
        }
    }

    /// Forward jumps, but for loops of a few rounds to the block itself; the last block returns a
    /// mixture of what it knows.
    fn terminator(&mut self, block: usize, params: &[Vec<usize>], loops: &[bool]) {
        let later = params.len() - block - 1;
        if later == 0 || self.pick(12) == 0 {
            let (a, b) = (self.value(3), self.value(2));
            self.next += 2;
            let (wide, mixed) = (self.next - 1, self.next);
            self.line(format_args!("v{wide} = sextend.i64 v{b}"));
            self.line(format_args!("v{mixed} = bxor v{a}, v{wide}"));
            return self.line(format_args!("return v{mixed}"));
        }
        let call = |g: &mut Self| {
            let target = block + 1 + g.pick(later);
            let mut args: Vec<String> =
                params[target].iter().map(|ty| format!("v{}", g.value(*ty))).collect();
            if loops[target] {
                let (zero, _) = g.fresh(3);
                g.line(format_args!("v{zero} = iconst.i64 0"));
                args[0] = format!("v{zero}");
            }
            format!("block{target}({})", args.join(", "))
        };
        if loops[block] {
            let rounds = 1 + self.pick(5);
            let mut again: Vec<String> =
                params[block].iter().map(|ty| format!("v{}", self.value(*ty))).collect();
            let leave = call(self);
            self.next += 4;
            let (one, count, limit, more) = (self.next - 3, self.next - 2, self.next - 1, self.next);
            let counter = self.counter;
            self.line(format_args!("v{one} = iconst.i64 1"));
            self.line(format_args!("v{count} = iadd v{counter}, v{one}"));
            self.line(format_args!("v{limit} = iconst.i64 {rounds}"));
            self.line(format_args!("v{more} = icmp ult v{count}, v{limit}"));
            again[0] = format!("v{count}");
            return self.line(format_args!("brif v{more}, block{block}({}), {leave}", again.join(", ")));
        }
        match self.pick(8) {
            0 => {
                let target = call(self);
                self.line(format_args!("jump {target}"));
            }
            1 => {
                let index = self.value(2);
                let (a, b, c) = (call(self), call(self), call(self));
                self.line(format_args!("br_table v{index}, {a}, [{b}, {c}]"));
            }
            _ => {
                let ty = self.pick(4);
                let c = self.value(ty);
                let (yes, no) = (call(self), call(self));
                self.line(format_args!("brif v{c}, {yes}, {no}"));
            }
        }
    }
}
