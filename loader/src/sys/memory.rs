//! Memory maps.

use super::SysError;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A mapped range, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        protection: i32,
        flags: i32,
        offset: usize,
    ) -> Result<Self, SysError> {
        let offset = libc::off_t::try_from(offset).unwrap_or(libc::off_t::MAX);
        // SAFETY: the kernel chooses the place, so nothing of ours is overwritten.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd.as_raw_fd(), offset) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, len }),
            _ => Err(SysError::last("mmap")),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` mapped exactly this range, and borrows of it end before the owner is dropped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A kernel file mapped for reading. For files that no one can truncate or write to, such as
/// `/sys/kernel/btf/vmlinux`: its bytes are part of the kernel's image.
#[derive(Debug)]
pub struct FrozenFile(Mapping);

// SAFETY: the range is read-only and never changes, so it may be read from any thread.
unsafe impl Send for FrozenFile {}
// SAFETY: as above.
unsafe impl Sync for FrozenFile {}

impl FrozenFile {
    /// Maps the first `len` bytes. Kernels before 6.16 refuse to map BTF files.
    pub fn map(file: &File, len: usize) -> Result<Self, SysError> {
        use std::os::fd::AsFd;
        Mapping::new(file.as_fd(), len, libc::PROT_READ, libc::MAP_PRIVATE, 0).map(Self)
    }
}

impl AsRef<[u8]> for FrozenFile {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped readable for `len` bytes, unchanging (see the type), unmapped only on drop.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.len) }
    }
}

/// The two memory maps of a BPF ring buffer (`kernel/bpf/ringbuf.c`, `ringbuf_map_mmap_kern`): a page with
/// the consumer's position, then a page with the producer's, then the data twice in a row, so that a record
/// that wraps is contiguous.
#[derive(Debug)]
pub struct RingPages {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    data_len: usize,
}

impl RingPages {
    /// Maps a ring buffer of `data_len` bytes of data.
    pub fn map(map: BorrowedFd<'_>, data_len: usize) -> Result<Self, SysError> {
        let page = super::host::page_size();
        assert!(data_len.is_power_of_two() && data_len.is_multiple_of(page), "ring of {data_len} bytes");
        let shared = libc::MAP_SHARED;
        let consumer = Mapping::new(map, page, libc::PROT_READ | libc::PROT_WRITE, shared, 0)?;
        let producer = Mapping::new(map, page + 2 * data_len, libc::PROT_READ, shared, page)?;
        Ok(Self { consumer, producer, page, data_len })
    }

    /// Bytes of data.
    pub fn data_len(&self) -> usize {
        self.data_len
    }

    /// How far the kernel has written.
    pub fn producer_position(&self) -> u64 {
        // SAFETY: the page starts with this word, page-aligned, and lives as long as `self`.
        unsafe { AtomicU64::from_ptr(self.producer.start.as_ptr().cast()) }.load(Ordering::Acquire)
    }

    /// Tells the kernel that everything before `position` may be overwritten.
    pub fn set_consumer_position(&mut self, position: u64) {
        // SAFETY: as above, in a page mapped for writing.
        unsafe { AtomicU64::from_ptr(self.consumer.start.as_ptr().cast()) }
            .store(position, Ordering::Release);
    }

    /// The length word of the record header at `position`, which the kernel writes last.
    pub fn header(&self, position: u64) -> u32 {
        let offset = self.offset(position) & !7;
        // SAFETY: `offset` is below `data_len` and 8-aligned, the mapping page-aligned.
        unsafe { AtomicU32::from_ptr(self.producer.start.as_ptr().add(self.page + offset).cast()) }
            .load(Ordering::Acquire)
    }

    /// `len` bytes of the data from `position` on. The kernel does not touch a submitted record until the
    /// consumer's position has passed it, which needs `&mut self`.
    pub fn bytes(&self, position: u64, len: usize) -> Option<&[u8]> {
        let offset = self.offset(position);
        if len > self.data_len {
            return None;
        }
        // SAFETY: offset + len < 2 * data_len, which is mapped after the producer's page.
        Some(unsafe { std::slice::from_raw_parts(self.producer.start.as_ptr().add(self.page + offset), len) })
    }

    fn offset(&self, position: u64) -> usize {
        // Truncation is wanted: data_len is a power of two.
        position as usize & (self.data_len - 1)
    }
}
