//! The free ranges of one segment. Neighbours are merged, so what was cut small can be large again.

use std::collections::BTreeMap;

/// Offset → length, both in bytes; no two ranges touch.
#[derive(Debug)]
pub(super) struct Extents {
    free: BTreeMap<u64, u64>,
}

impl Extents {
    /// One range: all of a segment.
    pub(super) fn whole(bytes: u64) -> Self {
        Extents {
            free: BTreeMap::from([(0, bytes)]),
        }
    }

    /// Cuts `bytes` from the first range that has them; gives their offset.
    pub(super) fn carve(&mut self, bytes: u64) -> Option<u64> {
        let (&offset, &length) = self.free.iter().find(|&(_, &length)| length >= bytes)?;
        self.free.remove(&offset);
        if length > bytes {
            self.free.insert(offset + bytes, length - bytes);
        }
        Some(offset)
    }

    /// Takes a range back that `carve` has given.
    pub(super) fn give_back(&mut self, offset: u64, bytes: u64) {
        let mut from = offset;
        let mut to = offset + bytes;
        if let Some((&before, &length)) = self.free.range(..offset).next_back() {
            debug_assert!(before + length <= offset, "a range is given back once");
            if before + length == offset {
                from = before;
            }
        }
        if let Some(length) = self.free.remove(&to) {
            to += length;
        }
        self.free.insert(from, to - from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_merged() {
        let mut extents = Extents::whole(1000);
        let parts: Vec<_> = (0..10).map(|_| extents.carve(100).unwrap()).collect();
        assert_eq!(extents.carve(1), None);
        for part in [3, 1, 2, 9, 0, 8, 4, 6, 5, 7] {
            extents.give_back(parts[part], 100);
        }
        assert_eq!(extents.free, BTreeMap::from([(0, 1000)]));
    }

    #[test]
    fn the_first_range_that_fits_is_cut() {
        let mut extents = Extents::whole(1000);
        assert_eq!(extents.carve(100), Some(0));
        assert_eq!(extents.carve(300), Some(100));
        assert_eq!(extents.carve(100), Some(400));
        extents.give_back(0, 100);
        extents.give_back(100, 300);
        assert_eq!(extents.carve(200), Some(0));
        assert_eq!(extents.carve(300), Some(500));
    }
}
