//! Decodes bytes by their layout into a value.
//!
//! Input    bytes of a record or map element (untrusted), a checked layout
//! Output   `Value`, with names already looked up: it prints without further help
//! Ensures  reads stay in bounds; time and memory are bounded by [`VALUES_MAX`]

use super::host::Symbols;
use super::{stack, time};
use manifest::{Bits, Enum, Field, Layout, Manifest};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Values that one record or map element may hold; nested arrays multiply.
const VALUES_MAX: u32 = 1 << 20;

/// A value as it prints.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Int(i64),
    Uint(u64),
    Bool(bool),
    Pointer(u64),
    /// Prints its name in text, its number in JSON.
    Enumerator {
        number: u64,
        name: String,
    },
    /// Strings, and everything else that is a string in JSON.
    Text(Vec<u8>),
    Buffer(Vec<u8>),
    Array(Vec<Value>),
    Tuple(Vec<Value>),
    Record(Vec<(String, Value)>),
}

/// Bytes that do not fit their layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadBytes {
    #[error("{have} bytes where {need} are needed")]
    Short { need: u64, have: usize },
    #[error("more than {VALUES_MAX} values")]
    TooMany,
}

/// Decodes the values of one record or map.
pub(super) struct Decoder<'a> {
    manifest: &'a Manifest,
    symbols: &'a mut dyn Symbols,
    boot_offset_ns: i64,
    /// Untrusted strings go to a terminal.
    neutralise: bool,
    values_left: u32,
    /// `strftime` calls that gave no text.
    pub(super) failed_times: u32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        symbols: &'a mut dyn Symbols,
        boot_offset_ns: i64,
        neutralise: bool,
    ) -> Decoder<'a> {
        Decoder { manifest, symbols, boot_offset_ns, neutralise, values_left: VALUES_MAX, failed_times: 0 }
    }

    /// The values of an event's arguments.
    pub(super) fn fields(&mut self, record: &[u8], fields: &[Field]) -> Result<Vec<Value>, BadBytes> {
        fields.iter().map(|field| self.field(record, field)).collect()
    }

    /// The value of a field of an enclosing value or record.
    pub(super) fn field(&mut self, enclosing: &[u8], field: &Field) -> Result<Value, BadBytes> {
        let offset = field.offset as usize;
        let Some(bytes) = enclosing.get(offset..) else {
            return Err(BadBytes::Short { need: u64::from(field.offset), have: enclosing.len() });
        };
        match field.bits {
            None => self.value(bytes, &field.layout),
            Some(bits) => {
                let raw = bit_field(bytes, bits)?;
                self.count()?;
                Ok(match &field.layout {
                    // Also of a signed bit-field bpftrace shows the bits, not the number they stand for.
                    Layout::Int { signed: true, .. } => Value::Int(raw as i64),
                    Layout::Bool => Value::Bool(raw != 0),
                    Layout::Enum { id, .. } => self.enumerator(*id, raw, u32::from(bits.width)),
                    _ => Value::Uint(raw),
                })
            }
        }
    }

    /// The value at the start of `bytes`.
    pub(super) fn value(&mut self, bytes: &[u8], layout: &Layout) -> Result<Value, BadBytes> {
        self.count()?;
        let short = || BadBytes::Short { need: layout.size(), have: bytes.len() };
        let size = usize::try_from(layout.size()).map_err(|_| BadBytes::TooMany)?;
        let bytes = bytes.get(..size).ok_or_else(short)?;
        let word = |at: usize| word(bytes, at).ok_or_else(short);
        Ok(match layout {
            Layout::None => Value::None,
            Layout::Int { signed: true, .. } => Value::Int(sign_extend(integer(bytes), bits_of(size))),
            Layout::Int { signed: false, .. } => Value::Uint(integer(bytes)),
            Layout::Bool => Value::Bool(bytes != [0]),
            Layout::Enum { id, .. } => self.enumerator(*id, integer(bytes), bits_of(size)),
            Layout::Pointer => Value::Pointer(word(0)?),
            Layout::String { .. } => self.string(bytes),
            Layout::Buffer { .. } => {
                let len = integer(&bytes[..4]).min(size as u64 - 4) as usize;
                Value::Buffer(bytes[4..4 + len].to_vec())
            }
            Layout::Array { of, stride, len } => {
                let stride = *stride as usize;
                let element = |i: usize| &bytes[i * stride..][..stride];
                let elements = (0..*len as usize).map(|i| self.value(element(i), of));
                Value::Array(elements.collect::<Result<_, _>>()?)
            }
            Layout::Tuple { fields, .. } => Value::Tuple(self.fields(bytes, fields)?),
            Layout::Record { names, fields, .. } => {
                Value::Record(names.iter().cloned().zip(self.fields(bytes, fields)?).collect())
            }
            Layout::Inet => Value::Text(inet(word(0)?, &bytes[8..])),
            Layout::Mac => {
                let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                Value::Text(pairs.join(":").into_bytes())
            }
            Layout::Timestamp { formats } => self.timestamp(formats, word(0)?, word(8)?),
            Layout::Ksym
            | Layout::Usym
            | Layout::Username
            | Layout::CgroupPath
            | Layout::Kstack { .. }
            | Layout::Ustack { .. } => {
                let text = self.looked_up(layout, word(0)?, &bytes[8..]);
                self.untrusted(text)
            }
        })
    }

    /// Text of what has a name in the running system: a first word, and what follows it.
    fn looked_up(&mut self, layout: &Layout, first: u64, rest: &[u8]) -> Vec<u8> {
        let second = integer(rest);
        let symbols = &mut *self.symbols;
        let name = match layout {
            Layout::Kstack { mode, .. } => return stack::kernel(*mode, first, rest, symbols),
            Layout::Ustack { mode, .. } => {
                let addrs = rest.get(8..).unwrap_or_default();
                return stack::user(*mode, first as u32, second, addrs, symbols);
            }
            Layout::Ksym => symbols.ksym(first).map(|(name, _)| name).or_else(|| Some(stack::address(first))),
            Layout::Usym => {
                let name = symbols.usym(second as u32, first).map(|symbol| symbol.name);
                name.or_else(|| Some(stack::address(first)))
            }
            Layout::Username => symbols.username(first as u32),
            Layout::CgroupPath => symbols.cgroup_path(first),
            Layout::None
            | Layout::Int { .. }
            | Layout::Bool
            | Layout::Enum { .. }
            | Layout::Pointer
            | Layout::String { .. }
            | Layout::Buffer { .. }
            | Layout::Array { .. }
            | Layout::Tuple { .. }
            | Layout::Record { .. }
            | Layout::Inet
            | Layout::Mac
            | Layout::Timestamp { .. } => None,
        };
        name.unwrap_or_default().into_bytes()
    }

    fn count(&mut self) -> Result<(), BadBytes> {
        self.values_left = self.values_left.checked_sub(1).ok_or(BadBytes::TooMany)?;
        Ok(())
    }

    fn string(&self, bytes: &[u8]) -> Value {
        let mut text = match memchr_nul(bytes) {
            Some(len) => bytes[..len].to_vec(),
            None => bytes.to_vec(),
        };
        if text.len() == bytes.len() {
            text.extend_from_slice(self.manifest.config.str_trunc_trailer.as_bytes());
        }
        self.untrusted(text)
    }

    fn untrusted(&self, text: Vec<u8>) -> Value {
        Value::Text(if self.neutralise { neutralised(&text) } else { text })
    }

    fn enumerator(&self, id: u32, raw: u64, bits: u32) -> Value {
        let same = |value: i64| truncate(value as u64, bits) == raw;
        let values = self.manifest.enums.get(id as usize).map_or(&[][..], |Enum { values, .. }| values);
        match values.iter().find(|(value, _)| same(*value)) {
            Some((_, name)) => Value::Enumerator { number: raw, name: name.clone() },
            None => Value::Uint(raw),
        }
    }

    fn timestamp(&mut self, formats: &[String], format: u64, boot_ns: u64) -> Value {
        let wall_ns = self.boot_offset_ns.wrapping_add(boot_ns as i64);
        let format = usize::try_from(format).ok().and_then(|at| formats.get(at));
        let text = format.and_then(|format| time::format_with_fraction(format, wall_ns));
        Value::Text(text.unwrap_or_else(|| {
            self.failed_times += 1;
            b"(?)".to_vec()
        }))
    }
}

/// Control characters other than newline and tab as `\xhh`, and so every byte that is not UTF-8:
/// no string of a traced program moves the cursor or starts an escape sequence.
pub(super) fn neutralised(text: &[u8]) -> Vec<u8> {
    let mut safe = Vec::with_capacity(text.len());
    let escape = |safe: &mut Vec<u8>, bytes: &[u8]| {
        bytes.iter().for_each(|byte| safe.extend(format!("\\x{byte:02x}").bytes()));
    };
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            match c.is_control() && c != '\n' && c != '\t' {
                true => escape(&mut safe, bytes),
                false => safe.extend_from_slice(bytes),
            }
        }
        escape(&mut safe, chunk.invalid());
    }
    safe
}

fn memchr_nul(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0)
}

fn bits_of(bytes: usize) -> u32 {
    bytes as u32 * 8
}

/// Little-endian unsigned integer of at most 8 bytes.
pub(super) fn integer(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    u64::from_le_bytes(word)
}

/// The `u64` at an offset.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?).map(integer)
}

/// As [`word()`], of bytes that should have it.
pub(super) fn expect_word(bytes: &[u8], at: u32) -> Result<u64, BadBytes> {
    let short = BadBytes::Short { need: u64::from(at) + 8, have: bytes.len() };
    word(bytes, at as usize).ok_or(short)
}

/// The low `bits` of a value.
pub(super) fn truncate(value: u64, bits: u32) -> u64 {
    if bits >= 64 { value } else { value & ((1 << bits) - 1) }
}

/// A two's complement integer of `bits` bits.
pub(super) fn sign_extend(value: u64, bits: u32) -> i64 {
    let unused = 64u32.saturating_sub(bits).min(63);
    ((value << unused) as i64) >> unused
}

fn bit_field(bytes: &[u8], bits: Bits) -> Result<u64, BadBytes> {
    let end = u32::from(bits.offset) + u32::from(bits.width);
    let len = end.div_ceil(8) as usize;
    let covering = bytes.get(..len).ok_or(BadBytes::Short { need: len as u64, have: bytes.len() })?;
    let mut word = [0; 16];
    let len = len.min(16);
    word[..len].copy_from_slice(&covering[..len]);
    Ok(truncate((u128::from_le_bytes(word) >> bits.offset) as u64, u32::from(bits.width)))
}

/// As glibc's `inet_ntop`, which also dots the IPv4 part of `::a.b.c.d`.
fn inet(family: u64, address: &[u8]) -> Vec<u8> {
    let mut octets = [0; 16];
    octets.copy_from_slice(&address[..16]);
    let v4 = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    let text = match family as i32 {
        libc::AF_INET => v4(0).to_string(),
        libc::AF_INET6 if octets[..12] == [0; 12] && octets[12..14] != [0; 2] => format!("::{}", v4(12)),
        libc::AF_INET6 => Ipv6Addr::from(octets).to_string(),
        _ => String::new(),
    };
    text.into_bytes()
}
