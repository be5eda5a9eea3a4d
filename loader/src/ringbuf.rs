//! Reads records from a BPF ring buffer.
//!
//! Input    the mapped pages of the ring
//! Output   records, borrowed from the pages
//! Ensures  no reading beyond the ring whatever lengths its headers claim; the kernel learns how far we are only by
//!          [`Ring::release`], so the caller decides when the next record wakes it
//!
//! Layout: `kernel/bpf/ringbuf.c`, `struct bpf_ringbuf_hdr`: a length whose top bits say busy and discarded, a page
//! offset, then the record, 8-aligned.

use crate::sys::memory::RingPages;

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: u64 = 8;

/// Memory that is laid out as a ring buffer.
pub trait Pages {
    /// Bytes of data.
    fn data_len(&self) -> usize;
    /// How far the kernel has written.
    fn producer_position(&self) -> u64;
    /// Tells the kernel how far we have read.
    fn set_consumer_position(&mut self, position: u64);
    /// The first word of the header at a position.
    fn header(&self, position: u64) -> u32;
    /// Some bytes from a position on, if the ring is that long.
    fn bytes(&self, position: u64, len: usize) -> Option<&[u8]>;
}

impl Pages for RingPages {
    fn data_len(&self) -> usize {
        RingPages::data_len(self)
    }
    fn producer_position(&self) -> u64 {
        RingPages::producer_position(self)
    }
    fn set_consumer_position(&mut self, position: u64) {
        RingPages::set_consumer_position(self, position);
    }
    fn header(&self, position: u64) -> u32 {
        RingPages::header(self, position)
    }
    fn bytes(&self, position: u64, len: usize) -> Option<&[u8]> {
        RingPages::bytes(self, position, len)
    }
}

/// A ring buffer and how far it has been read.
#[derive(Debug)]
pub struct Ring<P> {
    pages: P,
    position: u64,
}

impl<P: Pages> Ring<P> {
    /// Of a new ring buffer.
    pub fn new(pages: P) -> Self {
        Self { pages, position: 0 }
    }

    /// Bytes written and not read, records in the making included.
    pub fn pending(&self) -> u64 {
        self.pages.producer_position().saturating_sub(self.position)
    }

    /// Bytes of data.
    pub fn capacity(&self) -> u64 {
        self.pages.data_len() as u64
    }

    /// The next record that is complete.
    pub fn next_record(&mut self) -> Option<&[u8]> {
        loop {
            if self.pending() == 0 {
                return None;
            }
            let header = self.pages.header(self.position);
            if header & BUSY != 0 {
                return None;
            }
            let len = u64::from(header & !(BUSY | DISCARDED));
            let start = self.position + HEADER_BYTES;
            // A length beyond what the kernel has written cannot be: give up rather than read garbage.
            if HEADER_BYTES + len > self.pending() {
                return None;
            }
            self.position = start + len.next_multiple_of(8);
            if header & DISCARDED == 0 {
                return self.pages.bytes(start, usize::try_from(len).ok()?);
            }
        }
    }

    /// Gives the space of the records read back to the kernel.
    pub fn release(&mut self) {
        self.pages.set_consumer_position(self.position);
    }

    /// Drops everything written so far.
    pub fn skip_all(&mut self) {
        while self.next_record().is_some() {}
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice the data, as the kernel maps it.
    struct Fake {
        data: Vec<u8>,
        producer: u64,
        consumer: u64,
    }

    impl Fake {
        fn new(len: usize) -> Self {
            Self { data: vec![0; len], producer: 0, consumer: 0 }
        }

        fn put(&mut self, header: u32, record: &[u8]) {
            let mut bytes = header.to_le_bytes().to_vec();
            bytes.extend([0; 4]);
            bytes.extend(record);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            for byte in bytes {
                let at = self.producer as usize % self.data.len();
                self.data[at] = byte;
                self.producer += 1;
            }
        }
    }

    impl Pages for Fake {
        fn data_len(&self) -> usize {
            self.data.len()
        }
        fn producer_position(&self) -> u64 {
            self.producer
        }
        fn set_consumer_position(&mut self, position: u64) {
            self.consumer = position;
        }
        fn header(&self, position: u64) -> u32 {
            let at = position as usize % self.data.len();
            u32::from_le_bytes(self.data[at..at + 4].try_into().expect("four bytes"))
        }
        fn bytes(&self, position: u64, len: usize) -> Option<&[u8]> {
            let at = position as usize % self.data.len();
            self.data.get(at..at + len)
        }
    }

    #[test]
    fn records_in_order_without_the_discarded() {
        let mut fake = Fake::new(256);
        fake.put(3, b"abc");
        fake.put(5 | DISCARDED, b"xxxxx");
        fake.put(8, b"12345678");
        fake.put(4 | BUSY, b"busy");
        let mut ring = Ring::new(fake);
        assert_eq!(ring.next_record(), Some(&b"abc"[..]));
        assert_eq!(ring.next_record(), Some(&b"12345678"[..]));
        assert_eq!(ring.next_record(), None);
        assert_eq!(ring.pages.consumer, 0, "released only when asked");
        ring.release();
        assert_eq!(ring.pages.consumer, 48);
        assert_eq!(ring.pending(), 16, "the record in the making");
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_reading() {
        let mut fake = Fake::new(64);
        fake.put(1000, b"abcd");
        let mut ring = Ring::new(fake);
        assert_eq!(ring.next_record(), None);
        assert_eq!(ring.next_record(), None);
    }

    #[test]
    fn a_ring_goes_round() {
        let mut ring = Ring::new(Fake::new(64));
        for round in 0..100u8 {
            ring.pages.put(1, &[round]);
            assert_eq!(ring.next_record(), Some(&[round][..]));
            ring.release();
            assert_eq!(ring.pending(), 0);
        }
    }
}
