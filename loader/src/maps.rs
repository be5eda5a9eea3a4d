//! Creates maps, and reads and writes them.
//!
//! Input    map definitions and data sections of an object, contents for the latter
//! Output   [`KernelMap`]s, in the object's order
//! Ensures  read-only data is frozen before any program is loaded, so the verifier knows its values

use crate::error::Error;
use crate::kinds;
use crate::object::{DataSection, MapDef, Object};
use crate::sys::bpf::{self, BatchCursor, ElemSize, MapSpec};
use crate::sys::{SysError, host};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Bounds of a ring buffer whose size the loader decides (bpftrace's).
const RING_BYTES: (u64, u64) = (256 << 10, 16 << 20);
/// Part of the memory available that such a ring buffer takes.
const RING_MEMORY_PART: u64 = 1024;

/// A map of the kernel's.
#[derive(Debug)]
pub struct KernelMap {
    fd: OwnedFd,
    map_type: u32,
    max_entries: u32,
    size: ElemSize,
}

/// An element: its key, and its value as the kernel gives it.
pub type Entry = (Vec<u8>, Vec<u8>);

impl KernelMap {
    fn create(spec: &MapSpec<'_>, cpus: usize) -> Result<Self, SysError> {
        let first = bpf::map_create(spec);
        let fd = match first {
            // Before 5.11 maps count as locked memory.
            Err(error) if error.errno == libc::EPERM && host::lift_memlock_limit().is_ok() => {
                bpf::map_create(spec)
            }
            // Types are for people who look at the map; some maps take none.
            Err(_) if spec.btf.is_some() => bpf::map_create(&MapSpec { btf: None, ..*spec }).or(first),
            other => other,
        }?;
        let value = usize_of(spec.value_size);
        let value = if kinds::is_percpu(spec.map_type) { value.next_multiple_of(8) * cpus } else { value };
        let size = ElemSize { key: usize_of(spec.key_size), value };
        Ok(Self { fd, map_type: spec.map_type, max_entries: spec.max_entries, size })
    }

    /// Entries, or bytes of a ring buffer.
    pub fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// The value of a key; of a per-CPU map every possible CPU's, each padded to 8 bytes.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, SysError> {
        let mut value = vec![0; self.size.value];
        Ok(bpf::map_lookup(self.as_fd(), self.size, key, &mut value)?.then_some(value))
    }

    /// Sets the value of a key.
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<(), SysError> {
        bpf::map_update(self.as_fd(), self.size, key, value)
    }

    /// All elements. A hash map that changes meanwhile may give some twice or leave some out, but never for ever.
    pub fn entries(&self) -> Result<Vec<Entry>, SysError> {
        match self.entries_by_batch() {
            // 5.6 for hashes, later for others and for per-CPU arrays.
            Err(error) if matches!(error.errno, libc::EINVAL | libc::EOPNOTSUPP | 524) => {
                self.entries_by_key()
            }
            other => other,
        }
    }

    fn entries_by_batch(&self) -> Result<Vec<Entry>, SysError> {
        let mut room = usize_of(self.max_entries).min((1 << 20) / self.size.value.max(1)).max(64);
        let mut cursor = BatchCursor::default();
        let mut entries = Vec::new();
        while !cursor.done {
            let mut keys = vec![0; room * self.size.key];
            let mut values = vec![0; room * self.size.value];
            let read = bpf::map_lookup_batch(self.as_fd(), self.size, &mut cursor, &mut keys, &mut values);
            let count = match read {
                // A bucket with more elements than there is room for.
                Err(error) if error.errno == libc::ENOSPC && room < usize_of(self.max_entries) * 2 => {
                    room *= 2;
                    continue;
                }
                other => other?,
            };
            let pairs = keys.chunks_exact(self.size.key).zip(values.chunks_exact(self.size.value));
            entries.extend(pairs.take(count).map(|(key, value)| (key.to_vec(), value.to_vec())));
        }
        Ok(entries)
    }

    fn entries_by_key(&self) -> Result<Vec<Entry>, SysError> {
        let mut entries = Vec::new();
        let mut key: Option<Vec<u8>> = None;
        let mut next = vec![0; self.size.key];
        // A key deleted under our feet starts the walk again: bounded by the map's size.
        for _ in 0..self.max_entries {
            if !bpf::map_next_key(self.as_fd(), self.size, key.as_deref(), &mut next)? {
                break;
            }
            if let Some(value) = self.lookup(&next)? {
                entries.push((next.clone(), value));
            }
            key = Some(next.clone());
        }
        entries.sort();
        entries.dedup_by(|a, b| a.0 == b.0);
        Ok(entries)
    }

    /// Deletes all elements; those of an array, which cannot be deleted, become zero.
    pub fn clear(&self) -> Result<(), SysError> {
        if kinds::is_array(self.map_type) {
            return self.zero();
        }
        for (key, _) in self.entries()? {
            bpf::map_delete(self.as_fd(), self.size, &key)?;
        }
        Ok(())
    }

    /// Sets all values to zero.
    pub fn zero(&self) -> Result<(), SysError> {
        let zero = vec![0; self.size.value];
        for (key, _) in self.entries()? {
            bpf::map_update(self.as_fd(), self.size, &key, &zero)?;
        }
        Ok(())
    }
}

impl AsFd for KernelMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn usize_of(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// All maps of an object.
#[derive(Debug)]
pub struct Maps {
    /// Those of `.maps`.
    pub maps: Vec<KernelMap>,
    /// Those behind data sections.
    pub data: Vec<KernelMap>,
}

impl Maps {
    /// Descriptors of the maps and of the data sections, for relocations.
    pub fn descriptors(&self) -> (Vec<i32>, Vec<i32>) {
        let fds = |maps: &[KernelMap]| maps.iter().map(|map| map.fd.as_raw_fd()).collect();
        (fds(&self.maps), fds(&self.data))
    }
}

/// Creates all maps; `contents` are those of the data sections.
pub fn create_maps(
    object: &Object,
    contents: &[Vec<u8>],
    btf: BorrowedFd<'_>,
    cpus: usize,
) -> Result<Maps, Error> {
    let mut maps = Vec::new();
    for (index, def) in object.maps.iter().enumerate() {
        let max_entries = match def.map_type {
            kinds::MAP_RINGBUF if object.events == Some(index) => {
                ring_bytes(object.manifest.config.perf_rb_pages, cpus)
            }
            _ => def.max_entries,
        };
        maps.push(create_map(def, max_entries, btf, cpus)?);
    }
    let mut data = Vec::new();
    for (section, bytes) in object.data.iter().zip(contents) {
        data.push(create_data(section, bytes, btf, cpus)?);
    }
    Ok(Maps { maps, data })
}

fn create_map(def: &MapDef, max_entries: u32, btf: BorrowedFd<'_>, cpus: usize) -> Result<KernelMap, Error> {
    let has_types = def.types != Default::default();
    let spec = MapSpec {
        name: &def.symbol,
        map_type: def.map_type,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries,
        flags: def.flags,
        extra: def.extra,
        btf: has_types.then_some((btf, def.types.0.0, def.types.1.0)),
    };
    KernelMap::create(&spec, cpus).map_err(|source| failure(&spec, source))
}

fn create_data(
    section: &DataSection,
    bytes: &[u8],
    btf: BorrowedFd<'_>,
    cpus: usize,
) -> Result<KernelMap, Error> {
    let spec = MapSpec {
        name: &section.name,
        map_type: kinds::MAP_ARRAY,
        key_size: 4,
        value_size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        max_entries: 1,
        flags: if section.read_only { kinds::MAP_RDONLY_PROG } else { 0 },
        extra: 0,
        btf: (section.ty != btf::TypeId::VOID).then_some((btf, 0, section.ty.0)),
    };
    let fail = |source| failure(&spec, source);
    let map = KernelMap::create(&spec, cpus).map_err(fail)?;
    if bytes.iter().any(|&byte| byte != 0) {
        map.update(&[0; 4], bytes).map_err(fail)?;
    }
    if section.read_only {
        bpf::map_freeze(map.as_fd()).map_err(fail)?;
    }
    Ok(map)
}

fn failure(spec: &MapSpec<'_>, error: SysError) -> Error {
    Error::Map {
        map: spec.name.to_owned(),
        map_type: type_name(spec.map_type),
        entries: spec.max_entries,
        error,
    }
}

/// The name of a map type, as bpftool prints it.
pub fn type_name(map_type: u32) -> &'static str {
    match map_type {
        kinds::MAP_HASH => "hash",
        kinds::MAP_ARRAY => "array",
        kinds::MAP_PERCPU_HASH => "percpu_hash",
        kinds::MAP_PERCPU_ARRAY => "percpu_array",
        kinds::MAP_STACK_TRACE => "stack_trace",
        kinds::MAP_LRU_HASH => "lru_hash",
        kinds::MAP_LRU_PERCPU_HASH => "lru_percpu_hash",
        kinds::MAP_RINGBUF => "ringbuf",
        _ => "other",
    }
}

/// Size of the ring buffer: what the script's config says, else by memory. A power of two of whole pages, as the
/// kernel demands.
fn ring_bytes(pages: u32, cpus: usize) -> u32 {
    let page = host::page_size() as u64;
    let wanted = match pages {
        0 => {
            let (least, most) = RING_BYTES;
            let by_memory = (host::memory_available() / RING_MEMORY_PART).clamp(least, most);
            // Rounded down: a part of the memory is the most to take. A page a CPU is the least to work with.
            (1 << by_memory.ilog2()).max(page * cpus as u64)
        }
        pages => u64::from(pages) * page,
    };
    let bytes = wanted.max(page).next_power_of_two().min(1 << 30);
    u32::try_from(bytes).unwrap_or(1 << 30)
}

#[cfg(test)]
mod tests {
    #[test]
    fn rings_are_powers_of_two_of_pages() {
        for (pages, cpus) in [(0, 2), (0, 5000), (1, 2), (63, 2), (64, 2), (u32::MAX, 2)] {
            let bytes = super::ring_bytes(pages, cpus);
            assert!(bytes.is_power_of_two() && bytes >= 4096, "{pages} {cpus}: {bytes}");
        }
        assert!(super::ring_bytes(0, 1) >= 256 << 10);
        assert_eq!(super::ring_bytes(63, 1), 64 * crate::sys::host::page_size() as u32);
    }
}
