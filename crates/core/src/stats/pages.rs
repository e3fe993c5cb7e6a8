//! Rows by number in pages that copies share: a page is copied when it is changed while somebody else has it.
//!
//! A copy of the whole costs the same for any number of rows, and two copies are compared without a look at what they
//! share. A row with any number may be put in: the memory goes by the number of rows, and not by their numbers.

use std::sync::Arc;

/// A page has the rows whose numbers differ in the last bits only: 16 of them.
const PAGE_BITS: u32 = 4;
/// A sheaf has 64 pages.
const SHEAF_BITS: u32 = PAGE_BITS + 6;

/// Things in the order of their numbers.
#[derive(Debug, Clone)]
struct Sorted<T>(Vec<(u64, T)>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Sorted(Vec::new())
    }
}

impl<T> Sorted<T> {
    /// Where a number is, or where it would be.
    fn place(&self, number: u64) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.0.first(), self.0.last()) else {
            return Err(0);
        };
        if number > *last {
            return Err(self.0.len());
        }
        // Numbers without gaps are where they are expected.
        let expected = usize::try_from(number.wrapping_sub(*first)).unwrap_or(usize::MAX);
        match self.0.get(expected) {
            Some((there, _)) if *there == number => Ok(expected),
            _ => self.0.binary_search_by_key(&number, |(there, _)| *there),
        }
    }

    fn get(&self, number: u64) -> Option<&T> {
        let place = self.place(number).ok()?;
        self.0.get(place).map(|(_, thing)| thing)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number).ok()?;
        self.0.get_mut(place).map(|(_, thing)| thing)
    }

    fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.place(number).ok()?;
        Some(self.0.remove(place).1)
    }

    /// The things whose numbers are not below this one.
    fn from(&self, number: u64) -> &[(u64, T)] {
        &self.0[self.place(number).unwrap_or_else(|place| place)..]
    }
}

impl<T: Default> Sorted<T> {
    fn get_or_default(&mut self, number: u64) -> &mut T {
        let place = match self.place(number) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (number, T::default()));
                place
            }
        };
        &mut self.0[place].1
    }
}

type Page<R> = Arc<Sorted<R>>;
type Sheaf<R> = Arc<Sorted<Page<R>>>;

/// Rows in the order of their numbers. A clone shares all of them.
#[derive(Debug)]
pub(super) struct Pages<R> {
    sheaves: Arc<Sorted<Sheaf<R>>>,
    rows: usize,
}

impl<R> Clone for Pages<R> {
    fn clone(&self) -> Self {
        Pages {
            sheaves: Arc::clone(&self.sheaves),
            rows: self.rows,
        }
    }
}

impl<R> Default for Pages<R> {
    fn default() -> Self {
        Pages {
            sheaves: Arc::default(),
            rows: 0,
        }
    }
}

impl<R> Pages<R> {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The row of this number.
    pub(super) fn get(&self, number: u64) -> Option<&R> {
        let sheaf = self.sheaves.get(number >> SHEAF_BITS)?;
        sheaf.get(number >> PAGE_BITS)?.get(number)
    }

    /// The rows, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &R)> {
        self.from(0)
    }

    /// The rows whose numbers are not below this one, in the order of their numbers.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &R)> {
        (self.sheaves.from(number >> SHEAF_BITS).iter())
            .flat_map(move |(_, sheaf)| sheaf.from(number >> PAGE_BITS))
            .flat_map(move |(_, page)| page.from(number))
            .map(|(number, row)| (*number, row))
    }
}

impl<R: Clone> Pages<R> {
    /// The row of this number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut R> {
        let sheaf = Arc::make_mut(&mut self.sheaves).get_mut(number >> SHEAF_BITS)?;
        let page = Arc::make_mut(sheaf).get_mut(number >> PAGE_BITS)?;
        Arc::make_mut(page).get_mut(number)
    }

    /// Puts a row there, in the place of the one that was there.
    pub(super) fn insert(&mut self, number: u64, row: R) {
        let sheaf = Arc::make_mut(&mut self.sheaves).get_or_default(number >> SHEAF_BITS);
        let page = Arc::make_mut(sheaf).get_or_default(number >> PAGE_BITS);
        let page = Arc::make_mut(page);
        match page.place(number) {
            Ok(place) => page.0[place].1 = row,
            Err(place) => {
                page.0.insert(place, (number, row));
                self.rows += 1;
            }
        }
    }

    /// Takes a row out. What is empty then goes too.
    pub(super) fn remove(&mut self, number: u64) -> Option<R> {
        self.get(number)?;
        let (sheaf_number, page_number) = (number >> SHEAF_BITS, number >> PAGE_BITS);
        let sheaves = Arc::make_mut(&mut self.sheaves);
        let sheaf = Arc::make_mut(sheaves.get_mut(sheaf_number)?);
        let page = Arc::make_mut(sheaf.get_mut(page_number)?);
        let row = page.remove(number)?;
        self.rows -= 1;
        if page.0.is_empty() {
            sheaf.remove(page_number);
        }
        if sheaf.0.is_empty() {
            sheaves.remove(sheaf_number);
        }
        Some(row)
    }
}

/// Calls `each` with what is there under each number, before and after, but for what `is_same` says is the same.
fn compare<T>(
    before: &[(u64, T)],
    after: &[(u64, T)],
    is_same: impl Fn(&T, &T) -> bool,
    each: &mut impl FnMut(u64, Option<&T>, Option<&T>),
) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let number = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some((number, _)), None) | (None, Some((number, _))) => *number,
            (Some((one, _)), Some((other, _))) => *one.min(other),
        };
        let old = before.next_if(|(there, _)| *there == number);
        let new = after.next_if(|(there, _)| *there == number);
        match (old, new) {
            (Some((_, old)), Some((_, new))) if is_same(old, new) => {}
            (old, new) => each(number, old.map(|(_, old)| old), new.map(|(_, new)| new)),
        }
    }
}

fn things<T>(sorted: Option<&Arc<Sorted<T>>>) -> &[(u64, T)] {
    sorted.map_or(&[], |sorted| &sorted.0)
}

impl<R> Pages<R> {
    /// Calls `each` with the row of each number, before and after, but for those that `is_same` says are the same. Pages
    /// that both share are not looked at.
    pub(super) fn compare(
        &self,
        after: &Pages<R>,
        is_same: impl Fn(&R, &R) -> bool,
        mut each: impl FnMut(u64, Option<&R>, Option<&R>),
    ) {
        if Arc::ptr_eq(&self.sheaves, &after.sheaves) {
            return;
        }
        let (before, after) = (&self.sheaves.0, &after.sheaves.0);
        compare(before, after, Arc::ptr_eq, &mut |_, old, new| {
            compare(things(old), things(new), Arc::ptr_eq, &mut |_, old, new| {
                compare(things(old), things(new), &is_same, &mut each);
            });
        });
    }
}
