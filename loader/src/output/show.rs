//! Prints map contents as text and as JSON.

use super::hist::{self, Row};
use super::map::{Cell, Contents};
use super::value::Value;
use super::{json, text};
use manifest::MapValue;

/// Text of a map: a line an entry, or a histogram and a blank line an entry.
pub(super) fn map_text(name: &str, contents: &Contents) -> Vec<u8> {
    let mut out = Vec::new();
    match contents {
        Contents::Scalar(None) => {}
        Contents::Scalar(Some(cell)) => cell_text(&mut out, name.as_bytes(), cell),
        Contents::Keyed(entries) => {
            for (key, cell) in entries {
                let head = [name.as_bytes(), b"[", &text::of_key(key), b"]"].concat();
                cell_text(&mut out, &head, cell);
            }
        }
    }
    out
}

fn cell_text(out: &mut Vec<u8>, head: &[u8], cell: &Cell) {
    out.extend_from_slice(head);
    match cell {
        Cell::Value(value) => {
            out.extend_from_slice(b": ");
            text::write(out, value);
        }
        Cell::Histogram(rows) => {
            out.extend_from_slice(b":\n");
            hist::text(out, rows);
        }
    }
    out.push(b'\n');
}

/// JSON line of a map, or nothing if it is empty. Empty averages are `{}`, as in bpftrace.
pub(super) fn map_json(name: &str, value: &MapValue, contents: &Contents) -> Vec<u8> {
    let data = match contents {
        Contents::Scalar(None) if kind(value) == "stats" => "{}".to_owned(),
        Contents::Scalar(None) => return Vec::new(),
        Contents::Keyed(entries) if entries.is_empty() && kind(value) != "stats" => return Vec::new(),
        Contents::Scalar(Some(cell)) => cell_json(cell),
        Contents::Keyed(entries) => {
            let member = |(key, cell): &(Value, Cell)| format!("{}: {}", json::key(key), cell_json(cell));
            format!("{{{}}}", entries.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    };
    json::line(kind(value), &format!("{{{}: {data}}}", json::string(name.as_bytes())))
}

fn kind(value: &MapValue) -> &'static str {
    match value {
        MapValue::Plain(_)
        | MapValue::Count
        | MapValue::Sum { .. }
        | MapValue::Min { .. }
        | MapValue::Max { .. } => "map",
        MapValue::Avg { .. } | MapValue::Stats { .. } => "stats",
        MapValue::Hist { .. } | MapValue::Lhist { .. } => "hist",
    }
}

fn cell_json(cell: &Cell) -> String {
    match cell {
        Cell::Value(value) => json::of(value),
        Cell::Histogram(rows) => format!("[{}]", rows.iter().map(row_json).collect::<Vec<_>>().join(",")),
    }
}

/// Bounds are inclusive.
fn row_json(row: &Row) -> String {
    let bound = |name: &str, bound: Option<i128>| {
        bound.map_or(String::new(), |bound| format!("\"{name}\": {}, ", json::number(bound)))
    };
    let (min, max) = (bound("min", row.low), bound("max", row.high.map(|high| high - 1)));
    format!("{{{min}{max}\"count\": {}}}", row.count)
}
