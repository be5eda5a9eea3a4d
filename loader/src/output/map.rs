//! Reads a map: reduces per-CPU cells, sorts entries, divides.
//!
//! Input    entries of a BPF map (untrusted bytes), the manifest's map
//! Output   `Contents`, in the order it prints

use super::hist::{BUCKETS_MAX, Buckets, Row, Scale};
use super::reduce::{average, extreme, total, totals};
use super::value::{BadBytes, Decoder, Value, word};
use manifest::{Layout, Map, MapValue};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Key bytes and value bytes of each entry.
pub(super) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// What `print` is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection {
    /// Only the last entries, 0 for all.
    pub(super) top: u64,
    /// Divisor, 0 or 1 for none.
    pub(super) div: u64,
}

/// All of a map, and all undivided.
pub(super) const ALL: Selection = Selection { top: 0, div: 0 };

/// What one key of a map prints.
#[derive(Debug)]
pub(super) enum Cell {
    Value(Value),
    Histogram(Vec<Row>),
}

/// A map as it prints.
#[derive(Debug)]
pub(super) enum Contents {
    /// Of a map without keys; `None` if nothing was stored.
    Scalar(Option<Cell>),
    Keyed(Vec<(Value, Cell)>),
}

/// One key's value before division, with what it sorts by.
struct Entry {
    key_bytes: Vec<u8>,
    key: Value,
    order: Order,
    cell: Undivided,
}

enum Undivided {
    Value(Value),
    Average { value: Value, record: Option<(u64, Value)> },
    Histogram(Scale, Buckets),
}

/// What an entry sorts by, before its key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Signed(i64),
    Unsigned(u64),
    Key,
}

/// Decodes, sorts and divides a map's entries.
pub(super) fn contents(
    map: &Map,
    entries: Entries,
    selection: Selection,
    decoder: &mut Decoder<'_>,
) -> Result<Contents, BadBytes> {
    let mut cells = match scale(&map.value) {
        Some(scale) => histograms(map, scale, entries, decoder)?,
        None => entries
            .into_iter()
            .map(|(key, value)| entry(map, key, &value, decoder))
            .collect::<Result<Vec<_>, _>>()?,
    };
    cells.sort_by(compare);
    let dropped = match selection.top {
        0 => 0,
        top => cells.len().saturating_sub(usize::try_from(top).unwrap_or(usize::MAX)),
    };
    let mut divided = cells.into_iter().skip(dropped).map(|entry| {
        (entry.key, divide(entry.cell, selection.div, matches!(map.value, MapValue::Lhist { .. })))
    });
    Ok(match map.key {
        None => Contents::Scalar(divided.next().map(|(_, cell)| cell)),
        Some(_) => Contents::Keyed(divided.collect()),
    })
}

/// The value a scalar map prints before anything was stored; histograms print nothing.
pub(super) fn zero(map: &Map, decoder: &mut Decoder<'_>) -> Result<Option<Cell>, BadBytes> {
    if map.key.is_some() || scale(&map.value).is_some() {
        return Ok(None);
    }
    let zeros = vec![0; usize::try_from(map.value.cell_size()).map_err(|_| BadBytes::TooMany)?];
    let entry = entry(map, vec![0; 8], &zeros, decoder)?;
    Ok(Some(divide(entry.cell, 0, false)))
}

fn scale(value: &MapValue) -> Option<Scale> {
    match *value {
        MapValue::Hist { bits } => Some(Scale::Log2 { bits }),
        MapValue::Lhist { min, max, step } => Some(Scale::Linear { min, max, step }),
        MapValue::Plain(_)
        | MapValue::Count
        | MapValue::Sum { .. }
        | MapValue::Min { .. }
        | MapValue::Max { .. }
        | MapValue::Avg { .. }
        | MapValue::Stats { .. } => None,
    }
}

fn entry(map: &Map, key_bytes: Vec<u8>, bytes: &[u8], decoder: &mut Decoder<'_>) -> Result<Entry, BadBytes> {
    let key = match &map.key {
        Some(layout) => decoder.value(&key_bytes, layout)?,
        None => Value::None,
    };
    let number = |number: u64, signed: bool| match signed {
        true => (Value::Int(number as i64), Order::Signed(number as i64)),
        false => (Value::Uint(number), Order::Unsigned(number)),
    };
    let (value, order) = match &map.value {
        MapValue::Plain(layout) => {
            let value = decoder.value(bytes, layout)?;
            let order = match (layout, &value) {
                (Layout::Int { .. }, Value::Int(int)) => Order::Signed(*int),
                (Layout::Int { .. } | Layout::Enum { .. }, _) => match unsigned(&value) {
                    Some(number) => Order::Unsigned(number),
                    None => Order::Key,
                },
                _ => Order::Key,
            };
            (value, order)
        }
        MapValue::Count | MapValue::Hist { .. } | MapValue::Lhist { .. } => number(total(bytes)?, false),
        MapValue::Sum { signed } => number(total(bytes)?, *signed),
        MapValue::Min { signed } => (number(extreme(bytes, *signed, Ordering::Less)?, *signed).0, Order::Key),
        MapValue::Max { signed } => {
            (number(extreme(bytes, *signed, Ordering::Greater)?, *signed).0, Order::Key)
        }
        MapValue::Avg { signed } | MapValue::Stats { signed } => {
            let (total, count) = totals(bytes)?;
            let (average, order) = number(average(total, count, *signed), *signed);
            let record =
                matches!(map.value, MapValue::Stats { .. }).then(|| (count, number(total, *signed).0));
            return Ok(Entry { key_bytes, key, order, cell: Undivided::Average { value: average, record } });
        }
    };
    // bpftrace compares minima and maxima as unsigned, also where they are signed.
    let order = match (&map.value, &value) {
        (MapValue::Min { .. } | MapValue::Max { .. }, Value::Int(int)) => Order::Unsigned(*int as u64),
        (MapValue::Min { .. } | MapValue::Max { .. }, Value::Uint(int)) => Order::Unsigned(*int),
        _ => order,
    };
    Ok(Entry { key_bytes, key, order, cell: Undivided::Value(value) })
}

/// Entries of one key differ in the bucket number, the last 8 bytes of the BPF map's key.
fn histograms(
    map: &Map,
    scale: Scale,
    entries: Entries,
    decoder: &mut Decoder<'_>,
) -> Result<Vec<Entry>, BadBytes> {
    let key_size = map.key.as_ref().map_or(0, |layout| layout.size() as usize);
    let mut by_key: BTreeMap<Vec<u8>, Buckets> = BTreeMap::new();
    for (mut key, value) in entries {
        let short = BadBytes::Short { need: key_size as u64 + 8, have: key.len() };
        let bucket = key.len().checked_sub(8).filter(|at| *at >= key_size).ok_or(short)?;
        let bucket = word(&key, bucket).ok_or(short)?;
        key.truncate(key_size);
        if bucket <= BUCKETS_MAX {
            let count = by_key.entry(key).or_default().entry(bucket).or_default();
            *count = count.wrapping_add(total(&value)?);
        }
    }
    by_key
        .into_iter()
        .map(|(key_bytes, buckets)| {
            let key = match &map.key {
                Some(layout) => decoder.value(&key_bytes, layout)?,
                None => Value::None,
            };
            let order = Order::Unsigned(buckets.values().fold(0, |sum: u64, count| sum.wrapping_add(*count)));
            Ok(Entry { key_bytes, key, order, cell: Undivided::Histogram(scale, buckets) })
        })
        .collect()
}

/// Ties are broken by key, so that equal maps print alike.
fn compare(a: &Entry, b: &Entry) -> Ordering {
    let keys = || compare_keys(&a.key, &b.key).then_with(|| a.key_bytes.cmp(&b.key_bytes));
    a.order.cmp(&b.order).then_with(keys)
}

fn compare_keys(a: &Value, b: &Value) -> Ordering {
    let all = |a: &[Value], b: &[Value]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| compare_keys(a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) | (Value::Buffer(a), Value::Buffer(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) | (Value::Tuple(a), Value::Tuple(b)) => all(a, b),
        (Value::Record(a), Value::Record(b)) => a
            .iter()
            .zip(b)
            .map(|((_, a), (_, b))| compare_keys(a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal),
        // bpftrace compares all integer keys as signed.
        _ => match (unsigned(a), unsigned(b)) {
            (Some(a), Some(b)) => (a as i64).cmp(&(b as i64)),
            _ => Ordering::Equal,
        },
    }
}

fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Uint(number) | Value::Pointer(number) | Value::Enumerator { number, .. } => Some(*number),
        Value::None
        | Value::Int(_)
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Buffer(_)
        | Value::Array(_)
        | Value::Tuple(_)
        | Value::Record(_) => None,
    }
}

fn divide(cell: Undivided, div: u64, linear: bool) -> Cell {
    match cell {
        Undivided::Value(value) => Cell::Value(divided(value, div)),
        Undivided::Average { value, record: None } => Cell::Value(divided(value, div)),
        // Of a stats record only the average is divided.
        Undivided::Average { value, record: Some((count, total)) } => Cell::Value(Value::Record(vec![
            ("count".to_owned(), Value::Uint(count)),
            ("average".to_owned(), divided(value, div)),
            ("total".to_owned(), total),
        ])),
        Undivided::Histogram(scale, buckets) => {
            Cell::Histogram(scale.rows(&buckets, if linear { 1 } else { div }))
        }
    }
}

/// Integers divided, also those within composites.
fn divided(value: Value, div: u64) -> Value {
    if div <= 1 {
        return value;
    }
    let all = |values: Vec<Value>| values.into_iter().map(|value| divided(value, div)).collect();
    match value {
        Value::Int(int) => Value::Int((i128::from(int) / i128::from(div)) as i64),
        Value::Uint(int) => Value::Uint(int / div),
        Value::Array(values) => Value::Array(all(values)),
        Value::Tuple(values) => Value::Tuple(all(values)),
        Value::Record(fields) => {
            Value::Record(fields.into_iter().map(|(name, value)| (name, divided(value, div))).collect())
        }
        Value::None
        | Value::Bool(_)
        | Value::Pointer(_)
        | Value::Enumerator { .. }
        | Value::Text(_)
        | Value::Buffer(_) => value,
    }
}
