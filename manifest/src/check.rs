//! Reads a manifest and checks what must hold within it.
//!
//! Input    untrusted bytes of the manifest's section
//! Output   a `Manifest` of a known version with every index in range and every layout bounded
//! Ensures  decoding a record or map element of the stated size with its layout stays in bounds if
//!          the caller checks the element's length against `Layout::size`

use crate::{Event, Field, Layout, Manifest, Map, MapValue, VERSION};
use std::collections::HashSet;

/// Bounds on a manifest; all far above what a compiler emits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the section.
    pub bytes: usize,
    /// Entries of each list.
    pub entries: usize,
    /// Bytes of a value.
    pub value_bytes: u64,
    /// Layouts within layouts.
    pub nesting: u32,
}

/// The bounds in force.
pub const LIMITS: Limits = Limits { bytes: 16 << 20, entries: 65_536, value_bytes: 1 << 20, nesting: 16 };

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`Limits::bytes`].
    #[error("manifest of {0} bytes is larger than {max}", max = LIMITS.bytes)]
    TooLarge(usize),
    /// Not JSON, or not of this shape.
    #[error("manifest cannot be read")]
    Json(#[source] serde_json::Error),
    /// Of another version.
    #[error(
        "manifest has version {0}, this program reads version {VERSION}: use the loader of the compiler's release"
    )]
    Version(u32),
    /// Well-formed but wrong.
    #[error("manifest {entry}: {what}")]
    Invalid {
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(serde::Deserialize)]
struct VersionOnly {
    version: u32,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Manifest, Error> {
    if bytes.len() > LIMITS.bytes {
        return Err(Error::TooLarge(bytes.len()));
    }
    let VersionOnly { version } = serde_json::from_slice(bytes).map_err(Error::Json)?;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(Error::Json)?;
    manifest.check()?;
    Ok(manifest)
}

fn invalid(entry: impl std::fmt::Display, what: impl Into<String>) -> Error {
    Error::Invalid { entry: entry.to_string(), what: what.into() }
}

impl Manifest {
    fn check(&self) -> Result<(), Error> {
        for (what, len) in [
            ("probes", self.probes.len()),
            ("maps", self.maps.len()),
            ("events", self.events.len()),
            ("enums", self.enums.len()),
            ("globals", self.globals.len()),
            ("types", self.types.len()),
        ] {
            if len > LIMITS.entries {
                return Err(invalid(what, format!("{len} entries are more than {}", LIMITS.entries)));
            }
        }
        let mut typed = HashSet::new();
        for origin in &self.types {
            if origin.id == 0 || !typed.insert(origin.id) {
                return Err(invalid(
                    format!("type `{}`", origin.name),
                    format!("id {} is not its own", origin.id),
                ));
            }
        }
        for map in &self.maps {
            self.check_map(map).map_err(|what| invalid(format!("map `{}`", map.name), what))?;
        }
        for (number, event) in self.events.iter().enumerate() {
            self.check_event(event).map_err(|what| invalid(format!("event {number}"), what))?;
        }
        Ok(())
    }

    fn check_map(&self, map: &Map) -> Result<(), String> {
        if let Some(key) = &map.key {
            self.check_layout(key, 0)?;
        }
        match &map.value {
            MapValue::Plain(layout) => self.check_layout(layout, 0).map(drop),
            MapValue::Hist { bits } if *bits > 5 => Err(format!("hist with {bits} bits, at most 5")),
            MapValue::Lhist { min, max, step } => {
                if *step == 0 || max < min || max.abs_diff(*min) / *step > 1000 {
                    return Err(format!("lhist bounds {min}..{max} by {step}"));
                }
                Ok(())
            }
            MapValue::Count
            | MapValue::Sum { .. }
            | MapValue::Min { .. }
            | MapValue::Max { .. }
            | MapValue::Avg { .. }
            | MapValue::Stats { .. }
            | MapValue::Hist { .. } => Ok(()),
        }
    }

    fn check_event(&self, event: &Event) -> Result<(), String> {
        let map_exists = |map: u32| match self.maps.get(map as usize) {
            Some(_) => Ok(()),
            None => Err(format!("no map {map}, there are {}", self.maps.len())),
        };
        match event {
            Event::Printf { args, .. }
            | Event::Errorf { args, .. }
            | Event::Warnf { args, .. }
            | Event::Cat { args, .. }
            | Event::System { args, .. } => args.iter().try_for_each(|f| self.check_field(f, 0).map(drop)),
            Event::Value(field) => self.check_field(field, 0).map(drop),
            Event::PrintMap { map, .. } | Event::Clear { map } | Event::Zero { map } => map_exists(*map),
            Event::Join { stride, offset, .. } if *stride == 0 || *stride > 4096 || *offset > 4096 => {
                Err("join record out of bounds".into())
            }
            Event::Join { .. } | Event::Time { .. } | Event::Exit { .. } | Event::RuntimeError { .. } => {
                Ok(())
            }
        }
    }

    /// Bytes up to the end of the field.
    fn check_field(&self, field: &Field, depth: u32) -> Result<u64, String> {
        let size = self.check_layout(&field.layout, depth)?;
        let size = match field.bits {
            None => size,
            Some(bits) => {
                if !matches!(field.layout, Layout::Int { .. } | Layout::Enum { .. } | Layout::Bool) {
                    return Err("bit-field that is no integer".into());
                }
                if bits.width == 0 || bits.width > 64 || bits.offset > 7 {
                    return Err(format!("bit-field of {} bits at bit {}", bits.width, bits.offset));
                }
                u64::from(bits.offset + bits.width).div_ceil(8)
            }
        };
        bounded(u64::from(field.offset) + size)
    }

    fn check_layout(&self, layout: &Layout, depth: u32) -> Result<u64, String> {
        if depth > LIMITS.nesting {
            return Err(format!("values nested deeper than {}", LIMITS.nesting));
        }
        match layout {
            Layout::Int { size, .. } if !matches!(size, 1 | 2 | 4 | 8) => {
                return Err(format!("integer of {size} bytes"));
            }
            Layout::Enum { size, .. } if !matches!(size, 1 | 2 | 4 | 8) => {
                return Err(format!("enum of {size} bytes"));
            }
            Layout::Enum { id, .. } if *id as usize >= self.enums.len() => {
                return Err(format!("no enum {id}, there are {}", self.enums.len()));
            }
            Layout::Array { of, stride, .. } if self.check_layout(of, depth + 1)? > u64::from(*stride) => {
                return Err("array elements overlap".into());
            }
            Layout::Tuple { size, fields } | Layout::Record { size, fields, .. } => {
                for field in fields {
                    if self.check_field(field, depth + 1)? > u64::from(*size) {
                        return Err("field outside its tuple or record".into());
                    }
                }
                if let Layout::Record { names, .. } = layout
                    && names.len() != fields.len()
                {
                    return Err("record with unequal numbers of names and fields".into());
                }
            }
            _ => {}
        }
        bounded(layout.size())
    }
}

fn bounded(size: u64) -> Result<u64, String> {
    if size > LIMITS.value_bytes {
        return Err(format!("value of {size} bytes is larger than {}", LIMITS.value_bytes));
    }
    Ok(size)
}

impl Layout {
    /// Bytes of a value of this layout.
    pub fn size(&self) -> u64 {
        match self {
            Layout::None => 0,
            Layout::Int { size, .. } | Layout::Enum { size, .. } => u64::from(*size),
            Layout::Bool => 1,
            Layout::Pointer | Layout::Ksym | Layout::Username | Layout::CgroupPath => 8,
            Layout::String { size } => u64::from(*size),
            Layout::Buffer { size } => 4 + u64::from(*size),
            Layout::Array { stride, len, .. } => u64::from(*stride) * u64::from(*len),
            Layout::Tuple { size, .. } | Layout::Record { size, .. } => u64::from(*size),
            Layout::Inet => 24,
            Layout::Mac => 6,
            Layout::Usym | Layout::Timestamp { .. } => 16,
            Layout::Kstack { limit, .. } => 8 + 8 * u64::from(*limit),
            Layout::Ustack { limit, .. } => 16 + 8 * u64::from(*limit),
        }
    }
}

impl MapValue {
    /// Bytes of one cell (per CPU for aggregations).
    pub fn cell_size(&self) -> u64 {
        match self {
            MapValue::Plain(layout) => layout.size(),
            MapValue::Count | MapValue::Sum { .. } | MapValue::Hist { .. } | MapValue::Lhist { .. } => 8,
            MapValue::Min { .. } | MapValue::Max { .. } | MapValue::Avg { .. } | MapValue::Stats { .. } => 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, MissingProbes, Source};

    fn empty() -> Manifest {
        Manifest {
            version: VERSION,
            producer: "test".into(),
            source: Source { name: "stdin".into(), text: "begin { }".into() },
            config: Config {
                missing_probes: MissingProbes::Error,
                print_maps_on_exit: true,
                perf_rb_pages: 0,
                str_trunc_trailer: "..".into(),
                max_cat_bytes: 10240,
                max_probes: 1024,
                cpp_demangle: true,
            },
            probes: vec![],
            maps: vec![],
            events: vec![],
            enums: vec![],
            globals: vec![],
            types: vec![],
            needs_unsafe: false,
        }
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = empty();
        change(&mut manifest);
        Manifest::from_bytes(&manifest.to_bytes()).expect_err("accepted").to_string()
    }

    #[test]
    fn round_trip() {
        assert_eq!(Manifest::from_bytes(&empty().to_bytes()).expect("read"), empty());
    }

    #[test]
    fn bad_manifests_name_the_entry() {
        assert!(refused(|m| m.version = 9).contains("version 9"));
        assert_eq!(
            refused(|m| m.events.push(Event::Clear { map: 3 })),
            "manifest event 0: no map 3, there are 0"
        );
        assert_eq!(
            refused(|m| m.maps.push(Map {
                name: "@a".into(),
                symbol: "AT_a".into(),
                key: Some(Layout::Enum { size: 4, id: 7 }),
                value: MapValue::Count
            })),
            "manifest map `@a`: no enum 7, there are 0"
        );
        let origin = |id| crate::TypeOrigin { id, name: "nft_table".into(), module: "nf_tables".into() };
        assert_eq!(
            refused(|m| m.types.extend([origin(3), origin(3)])),
            "manifest type `nft_table`: id 3 is not its own"
        );
        let mut deep = Layout::Bool;
        for _ in 0..20 {
            deep = Layout::Array { of: Box::new(deep), stride: 1, len: 1 };
        }
        let field = Field { offset: 8, layout: deep, bits: None };
        assert!(refused(|m| m.events.push(Event::Value(field))).contains("nested deeper"));
        let huge = Layout::Array { of: Box::new(Layout::Bool), stride: u32::MAX, len: u32::MAX };
        let field = Field { offset: 8, layout: huge, bits: None };
        assert!(refused(|m| m.events.push(Event::Value(field))).contains("larger than"));
    }
}
