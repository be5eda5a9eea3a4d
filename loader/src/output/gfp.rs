//! Names of the kernel's page allocation flags (`include/linux/gfp_types.h`), for `%gr`.
//!
//! As bpftrace names them: not `__GFP_MOVABLE`, `__GFP_RECLAIMABLE` and what came after 6.10.

/// Whole sets first, in the order in which they are looked for.
const NAMES: [(u64, &str); 35] = [
    (0x21c_24ca, "GFP_TRANSHUGE"),
    (0x21c_20ca, "GFP_TRANSHUGE_LIGHT"),
    (0x210_0cca, "GFP_HIGHUSER_MOVABLE"),
    (0x10_0cc2, "GFP_HIGHUSER"),
    (0x10_0cc0, "GFP_USER"),
    (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
    (0xcc0, "GFP_KERNEL"),
    (0x820, "GFP_ATOMIC"),
    (0x2800, "GFP_NOWAIT"),
    (0xc40, "GFP_NOFS"),
    (0xc00, "GFP_NOIO"),
    (0x1, "GFP_DMA"),
    (0x4, "GFP_DMA32"),
    (0x2, "__GFP_HIGHMEM"),
    (0x20, "__GFP_HIGH"),
    (0x40, "__GFP_IO"),
    (0x80, "__GFP_FS"),
    (0x100, "__GFP_ZERO"),
    (0x400, "__GFP_DIRECT_RECLAIM"),
    (0x800, "__GFP_KSWAPD_RECLAIM"),
    (0x1000, "__GFP_WRITE"),
    (0x2000, "__GFP_NOWARN"),
    (0x4000, "__GFP_RETRY_MAYFAIL"),
    (0x8000, "__GFP_NOFAIL"),
    (0x1_0000, "__GFP_NORETRY"),
    (0x2_0000, "__GFP_MEMALLOC"),
    (0x4_0000, "__GFP_COMP"),
    (0x8_0000, "__GFP_NOMEMALLOC"),
    (0x10_0000, "__GFP_HARDWALL"),
    (0x20_0000, "__GFP_THISNODE"),
    (0x40_0000, "__GFP_ACCOUNT"),
    (0x80_0000, "__GFP_ZEROTAGS"),
    (0x100_0000, "__GFP_SKIP_ZERO"),
    (0x200_0000, "__GFP_SKIP_KASAN"),
    (0x400_0000, "__GFP_NO_OBJ_EXT"),
];

/// The names of all flags, and the rest in hex.
pub(super) fn names(flags: u64) -> String {
    if flags == 0 {
        return "0".to_owned();
    }
    let mut rest = flags;
    let mut names = Vec::new();
    for (bits, name) in NAMES {
        if rest & bits == bits {
            names.push(name.to_owned());
            rest &= !bits;
        }
    }
    if rest != 0 {
        names.push(format!("0x{rest:x}"));
    }
    names.join("|")
}
