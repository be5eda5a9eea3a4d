//! Random manifests, records and map entries: nothing may panic, and JSON stays JSON.

use super::*;
use manifest::{Bits, MapValue, Place, RuntimeError, StackMode};

/// xorshift64*: the same cases on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| if self.below(3) == 0 { 0 } else { self.next() as u8 }).collect()
    }

    fn layout(&mut self, depth: u32) -> Layout {
        let mode = self.one(&[StackMode::Bpftrace, StackMode::Perf, StackMode::Raw]);
        let (size, limit, signed) = (self.one(&[1, 2, 4, 8]), self.below(5) as u32, self.below(2) == 0);
        match self.below(if depth == 0 { 16 } else { 20 }) {
            0 => Layout::None,
            1 => Layout::Bool,
            2 => Layout::Enum { size, id: 0 },
            3 => Layout::Pointer,
            4 => Layout::String { size: self.below(20) as u32 },
            5 => Layout::Buffer { size: self.below(20) as u32 },
            6 => Layout::Inet,
            7 => Layout::Mac,
            8 => Layout::Ksym,
            9 => Layout::Usym,
            10 => Layout::Username,
            11 => Layout::Timestamp { formats: vec!["%H%f%k".into(), "%".into()] },
            12 => Layout::CgroupPath,
            13 => Layout::Kstack { mode, limit },
            14 => Layout::Ustack { mode, limit },
            15 => Layout::Int { size, signed },
            16 => {
                let of = self.layout(depth - 1);
                let stride = of.size() as u32 + self.below(3) as u32;
                Layout::Array { of: Box::new(of), stride, len: self.below(6) as u32 }
            }
            n => {
                let fields: Vec<Field> = (0..self.below(4)).map(|_| self.field(depth - 1, 16)).collect();
                let names = (0..fields.len()).map(|i| format!("f{i}")).collect();
                let end = |field: &Field| u64::from(field.offset) + field.layout.size() + 9;
                let size = fields.iter().map(end).max().unwrap_or(0) as u32;
                if n == 17 { Layout::Tuple { size, fields } } else { Layout::Record { size, names, fields } }
            }
        }
    }

    fn field(&mut self, depth: u32, offset_max: u64) -> Field {
        let layout = self.layout(depth);
        let integer = matches!(layout, Layout::Int { .. } | Layout::Enum { .. } | Layout::Bool);
        let bits = Bits { offset: self.below(8) as u8, width: 1 + self.below(64) as u8 };
        let bits = (integer && self.below(3) == 0).then_some(bits);
        Field { offset: self.below(offset_max) as u32, layout, bits }
    }

    fn format(&mut self) -> String {
        let parts = [
            "%", "-", "+", " ", "#", "0", "12", ".", "*", "h", "hh", "l", "d", "s", "x", "p", "r", "rh",
            "gr", "é", "\n",
        ];
        (0..self.below(20)).map(|_| self.one(&parts)).collect()
    }

    fn event(&mut self) -> Event {
        let args: Vec<Field> = (0..self.below(4)).map(|_| self.field(2, 64)).collect();
        let format = self.format();
        let place = Place {
            line: self.below(4) as u32,
            column: self.below(90) as u32,
            end_column: self.below(90) as u32,
        };
        let errors = [
            RuntimeError::DivideByZero,
            RuntimeError::MapFull,
            RuntimeError::LookupMissing,
            RuntimeError::ArrayBounds,
            RuntimeError::Helper("probe_read".into()),
        ];
        match self.below(12) {
            0 => Event::Errorf { format, args, place },
            1 => Event::Warnf { format, args, place },
            2 => Event::Value(self.field(3, 64)),
            3 => Event::PrintMap { map: 0, top: self.below(4), div: self.one(&[0, 1, 2, u64::MAX]) },
            4 => Event::Time { format },
            5 => Event::Join {
                separator: format,
                offset: self.below(40) as u32,
                stride: 1 + self.below(9) as u32,
            },
            6 => Event::Cat { format, args },
            7 => Event::System { format, args },
            8 => Event::Exit { offset: self.below(64) as u32 },
            9 => Event::RuntimeError {
                error: self.one(&errors),
                place,
                retcode: self.one(&[None, Some(8), Some(60)]),
            },
            _ => Event::Printf { format, args },
        }
    }

    fn map(&mut self) -> Map {
        let key = (self.below(3) > 0).then(|| self.layout(2));
        let signed = self.below(2) == 0;
        let (min, max) = self.one(&[(0, 10), (i64::MAX - 9, i64::MAX), (i64::MIN, i64::MIN + 5)]);
        let value = match self.below(9) {
            0 => MapValue::Count,
            1 => MapValue::Sum { signed },
            2 => MapValue::Min { signed },
            3 => MapValue::Max { signed },
            4 => MapValue::Avg { signed },
            5 => MapValue::Stats { signed },
            6 => MapValue::Hist { bits: self.below(6) as u8 },
            7 => MapValue::Lhist { min, max, step: self.one(&[1, 3, 1024, u64::MAX]) },
            _ => MapValue::Plain(self.layout(2)),
        };
        map("@m", key, value)
    }

    /// Entries that mostly have the right sizes.
    fn entries(&mut self, map: &Map) -> Vec<(Vec<u8>, Vec<u8>)> {
        let key_size = map.key.as_ref().map_or(8, Layout::size) as usize;
        let histogram = matches!(map.value, MapValue::Hist { .. } | MapValue::Lhist { .. });
        (0..self.below(5))
            .map(|_| {
                let mut key = self.bytes(64);
                let mut value = self.bytes(64);
                if self.below(8) > 0 {
                    key.resize(key_size, 1);
                    value.resize(map.value.cell_size() as usize * if self.below(2) == 0 { 1 } else { 3 }, 2);
                }
                if histogram && self.below(8) > 0 {
                    let bucket = self.one(&[0, 1, 2, 11, 64, 400, u64::MAX]);
                    key.resize(key_size.next_multiple_of(8), 0);
                    key.extend(bucket.to_le_bytes());
                }
                (key, value)
            })
            .collect()
    }
}

#[test]
fn nothing_panics() {
    let mut random = Random(0x5eed);
    let mut accepted = 0;
    for _ in 0..4000 {
        let map = random.map();
        let entries = random.entries(&map);
        let events: Vec<Event> = (0..3).map(|_| random.event()).collect();
        let source = Source { name: "é.bt".into(), text: "begin {\n\té()\n}".into() };
        let manifest = Manifest { maps: vec![map], events, source, ..empty() };
        if Manifest::from_bytes(&manifest.to_bytes()).is_err() {
            continue;
        }
        accepted += 1;
        let options = Options {
            format: random.one(&[Format::Text, Format::Json]),
            warnings: random.one(&[Warnings::All, Warnings::Default]),
            terminal: random.below(2) == 0,
            ..Options::default()
        };
        let mut host = FakeHost { entries: vec![entries], ..FakeHost::default() };
        outputs(&manifest, options, |output| {
            for _ in 0..6 {
                let number = random.below(4).to_le_bytes();
                output.event(&[&number, random.bytes(200).as_slice()].concat(), &mut host)?;
            }
            output.event(&random.bytes(12), &mut host)?;
            output.maps_at_exit(&mut host)
        });
    }
    assert!(accepted > 3000, "{accepted}");
}

#[test]
fn nested_arrays_do_not_multiply_without_end() {
    let mut layout = Layout::None;
    for _ in 0..8 {
        layout = Layout::Array { of: Box::new(layout), stride: 0, len: 1000 };
    }
    let (out, err) = shown(Options::default(), Event::Value(Field { offset: 8, layout, bits: None }), &[]);
    assert_eq!(out, "");
    assert_eq!(err, "ERROR: event 0 cannot be read: more than 1048576 values\n");
}
