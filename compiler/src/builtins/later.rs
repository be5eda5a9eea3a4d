//! Functions of the language that come later.

/// Their names, sorted.
pub(super) const NAMES: &[&str] = &[
    "assert",
    "assert_str",
    "config",
    "debugf",
    "default_str_length",
    "dw_ustack",
    "elf_info",
    "elf_is_exe",
    "fail",
    "find",
    "is_scalar",
    "kfunc_allowed",
    "kfunc_exist",
    "memcmp",
    "memcmp_record",
    "override",
    "path",
    "pton",
    "skboutput",
    "socket_cookie",
    "stack_len",
    "static_assert",
    "str_concat",
    "tseries",
    "uaddr",
    "unwatch",
    "usdt_arg",
    "usermode",
    "write_user",
];

#[cfg(test)]
mod tests {
    #[test]
    fn sorted() {
        assert!(super::NAMES.is_sorted());
    }
}
