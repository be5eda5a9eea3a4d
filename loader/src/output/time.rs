//! Wall-clock text through the C library's `strftime`, in local time.
//!
//! `%f`, `%l` and `%k` are bpftrace's own: micro-, milli- and nanoseconds of 6, 3 and 9 digits.

use crate::sys::host::{Clock, now_ns};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

const NS: i64 = 1_000_000_000;

/// `time()` formats into a buffer of 64 bytes; a longer text counts as failed.
const TIME_BYTES: usize = 64;

/// `strftime()` has this buffer.
const STRFTIME_BYTES: usize = 256;

/// Text of a time in nanoseconds since 1970, for `time()`. `None` if it is empty or too long.
pub(super) fn format(text: &str, ns: i64) -> Option<Vec<u8>> {
    formatted::<TIME_BYTES>(text, ns)
}

fn formatted<const BYTES: usize>(format: &str, ns: i64) -> Option<Vec<u8>> {
    let format = CString::new(format).ok()?;
    let seconds = ns.div_euclid(NS);
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are to live objects of the right types; null means `parts` was not written.
    let parts = unsafe {
        if libc::localtime_r(&seconds, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    let mut text = [0u8; BYTES];
    // SAFETY: `text` has the length given, `format` is NUL-terminated, `parts` was filled by `localtime_r`.
    let len = unsafe { libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &parts) };
    (len > 0).then(|| text[..len].to_vec())
}

/// As [`format()`], with the fractions of a second, for `strftime()`.
pub(super) fn format_with_fraction(text: &str, ns: i64) -> Option<Vec<u8>> {
    let fraction = ns.rem_euclid(NS);
    let mut with_fraction = String::with_capacity(text.len() + 16);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            with_fraction.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => with_fraction.push_str(&format!("{:06}", fraction / 1000)),
            Some('l') => with_fraction.push_str(&format!("{:03}", fraction / 1_000_000)),
            Some('k') => with_fraction.push_str(&format!("{fraction:09}")),
            Some(other) => with_fraction.extend(['%', other]),
            None => with_fraction.push('%'),
        }
    }
    formatted::<STRFTIME_BYTES>(&with_fraction, ns)
}

/// Nanoseconds since 1970; 0 if the clock is set before that.
pub(super) fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Wall clock minus boot clock now. Of several readings the one least disturbed between the two clocks counts.
pub(super) fn boot_offset_ns() -> i64 {
    let reading = || {
        let before = now_ns(Clock::Boot);
        let wall = wall_ns();
        let after = now_ns(Clock::Boot);
        (after.saturating_sub(before), wall.saturating_sub_unsigned(before.midpoint(after)))
    };
    (0..5).map(|_| reading()).min_by_key(|(disturbance, _)| *disturbance).map_or(0, |(_, offset)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-08-29 07:06:05.123456789 UTC; minutes and seconds are the same in every whole-hour zone.
    const AT: i64 = 1_787_987_165_123_456_789;

    #[test]
    fn formats() {
        for (text, expected) in [
            ("%M:%S", "06:05"),
            ("%f", "123456"),
            ("%l", "123"),
            ("%k", "123456789"),
            ("%%f|%%%f", "%f|%123456"),
            ("%S%", "05%"),
        ] {
            let got = format_with_fraction(text, AT).expect(text);
            assert_eq!(String::from_utf8_lossy(&got), expected, "{text}");
        }
    }

    #[test]
    fn empty_and_long_texts_fail() {
        assert_eq!(format("", AT), None);
        assert_eq!(format(&"x".repeat(64), AT), None);
        assert_eq!(format(&"x".repeat(63), AT).map(|t| t.len()), Some(63));
        assert_eq!(format("a\0b", AT), None);
    }

    #[test]
    fn before_1970_and_far_away() {
        assert!(format_with_fraction("%S.%k", -1).is_some_and(|t| t == b"59.999999999"));
        for ns in [i64::MIN, i64::MAX] {
            assert!(format("%M", ns).is_some());
        }
    }
}
