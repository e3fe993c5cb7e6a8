//! Rows by number in pages that copies share: a page is copied when it is changed while somebody else has it.
//!
//! A copy of the whole costs the same for any number of rows, once what has changed was shared, and two copies are compared
//! without a look at what they share. A row with any number may be put in: the memory goes by the number of rows, and not
//! by their numbers.

use super::slots::{Share, Slot};

/// How many rows that are small a page has: those whose numbers differ in the last bits only.
const ROWS_IN_A_PAGE: usize = 16;
/// A sheaf has the pages whose numbers differ in the last bits only.
const PAGES_IN_A_SHEAF: usize = 64;

type Page<R, const ROWS: usize> = [Option<R>; ROWS];
type Sheaf<R, const ROWS: usize> = [Slot<Page<R, ROWS>>; PAGES_IN_A_SHEAF];

/// A sheaf with its number.
#[derive(Debug, Clone)]
struct Numbered<R, const ROWS: usize> {
    number: u64,
    pages: Slot<Sheaf<R, ROWS>>,
}

/// Where a row is.
#[derive(Clone, Copy)]
struct Place<const ROWS: usize> {
    sheaf: u64,
    page: usize,
    row: usize,
}

impl<const ROWS: usize> Place<ROWS> {
    fn of(number: u64) -> Place<ROWS> {
        let (page, row) = (number / ROWS as u64, number % ROWS as u64);
        Place {
            sheaf: page / PAGES_IN_A_SHEAF as u64,
            page: (page % PAGES_IN_A_SHEAF as u64) as usize,
            row: row as usize,
        }
    }

    /// The number of a row.
    fn number(self) -> u64 {
        (self.sheaf * PAGES_IN_A_SHEAF as u64 + self.page as u64) * ROWS as u64 + self.row as u64
    }
}

/// Rows in the order of their numbers. A clone shares those that were shared before, and copies the others.
#[derive(Debug, Clone)]
pub(super) struct Pages<R, const ROWS: usize = ROWS_IN_A_PAGE> {
    /// The sheaf with number 0, of which most have no more.
    first: Slot<Sheaf<R, ROWS>>,
    /// The other sheaves that are not empty, in the order of their numbers.
    others: Slot<Vec<Numbered<R, ROWS>>>,
    rows: usize,
}

/// Rows that are so long that each has a page of its own.
pub(super) type LongRows<R> = Pages<R, 1>;

impl<R, const ROWS: usize> Default for Pages<R, ROWS> {
    fn default() -> Self {
        Pages {
            first: Slot::Empty,
            others: Slot::Empty,
            rows: 0,
        }
    }
}

impl<R: Share, const ROWS: usize> Share for Numbered<R, ROWS> {
    fn share(&mut self) {
        self.pages.share();
    }
}

impl<R: Share, const ROWS: usize> Share for Pages<R, ROWS> {
    fn share(&mut self) {
        self.first.share();
        self.others.share();
    }
}

/// Where a sheaf is among those after the first, or where it would be.
fn find<R, const ROWS: usize>(sheaves: &[Numbered<R, ROWS>], number: u64) -> Result<usize, usize> {
    // Without gaps it is where it is expected.
    let expected = usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX);
    match sheaves.get(expected) {
        Some(there) if there.number == number => Ok(expected),
        _ => sheaves.binary_search_by_key(&number, |there| there.number),
    }
}

impl<R, const ROWS: usize> Pages<R, ROWS> {
    fn others(&self) -> &[Numbered<R, ROWS>] {
        self.others.get().map_or(&[], Vec::as_slice)
    }

    /// All sheaves with their numbers, in their order.
    fn sheaves(&self, from: u64) -> impl Iterator<Item = (u64, &Slot<Sheaf<R, ROWS>>)> {
        let first = (from == 0).then_some((0, &self.first));
        let others = self.others();
        let begin = find(others, from).unwrap_or_else(|place| place);
        let others = others[begin..].iter();
        (first.into_iter()).chain(others.map(|sheaf| (sheaf.number, &sheaf.pages)))
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Whether all rows are the same as those of another one: whether both share them.
    pub(super) fn is_shared_with(&self, other: &Pages<R, ROWS>) -> bool {
        self.first.is_shared_with(&other.first) && self.others.is_shared_with(&other.others)
    }

    /// The row of this number.
    pub(super) fn get(&self, number: u64) -> Option<&R> {
        #[cfg(test)]
        touched::one();
        let place = Place::<ROWS>::of(number);
        let pages = match place.sheaf {
            0 => &self.first,
            number => {
                let others = self.others();
                &others[find(others, number).ok()?].pages
            }
        };
        pages.get()?[place.page].get()?[place.row].as_ref()
    }

    /// The rows, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &R)> {
        self.from(0)
    }

    /// The rows whose numbers are not below this one, in the order of their numbers.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &R)> {
        self.sheaves(Place::<ROWS>::of(number).sheaf)
            .inspect(|_| {
                #[cfg(test)]
                touched::one();
            })
            .flat_map(move |(sheaf, pages)| {
                let pages = (0..).zip(pages.get().into_iter().flatten());
                pages.flat_map(move |(page, rows)| {
                    let rows = (0..).zip(rows.get().into_iter().flatten());
                    rows.filter_map(move |(row, there)| {
                        let place = Place::<ROWS> { sheaf, page, row };
                        Some((place.number(), there.as_ref()?))
                    })
                })
            })
            .skip_while(move |(there, _)| *there < number)
    }
}

impl<R: Clone, const ROWS: usize> Pages<R, ROWS> {
    /// The row of this number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut R> {
        #[cfg(test)]
        touched::one();
        let place = Place::<ROWS>::of(number);
        let pages = match place.sheaf {
            0 => &mut self.first,
            number => {
                let others = self.others.get_mut()?;
                let found = find(others, number).ok()?;
                &mut others[found].pages
            }
        };
        pages.get_mut()?[place.page].get_mut()?[place.row].as_mut()
    }

    /// Puts a row there, in the place of the one that was there.
    pub(super) fn insert(&mut self, number: u64, row: R) {
        let before = self.fill(number).map(|there| there.replace(row));
        if let Some(None) = before {
            self.rows += 1;
        }
    }

    /// The place of a row, with what it lies in.
    fn fill(&mut self, number: u64) -> Option<&mut Option<R>> {
        #[cfg(test)]
        touched::one();
        let place = Place::<ROWS>::of(number);
        let pages = match place.sheaf {
            0 => &mut self.first,
            number => {
                let others = self.others.fill(Vec::new)?;
                let found = find(others, number).unwrap_or_else(|found| {
                    let pages = Slot::Empty;
                    others.insert(found, Numbered { number, pages });
                    found
                });
                &mut others[found].pages
            }
        };
        let sheaf = pages.fill(|| [const { Slot::Empty }; PAGES_IN_A_SHEAF])?;
        let page = sheaf[place.page].fill(|| [const { None }; ROWS])?;
        Some(&mut page[place.row])
    }

    /// Takes a row out. What is empty then goes too.
    pub(super) fn remove(&mut self, number: u64) -> Option<R> {
        self.get(number)?;
        let place = Place::<ROWS>::of(number);
        let row = match place.sheaf {
            0 => take(&mut self.first, place),
            number => {
                let others = self.others.get_mut()?;
                let found = find(others, number).ok()?;
                let row = take(&mut others[found].pages, place);
                if others[found].pages.get().is_none() {
                    others.remove(found);
                }
                row
            }
        };
        self.rows -= usize::from(row.is_some());
        row
    }
}

/// Takes a row out of a sheaf, and what is empty then.
fn take<R: Clone, const ROWS: usize>(
    pages: &mut Slot<Sheaf<R, ROWS>>,
    place: Place<ROWS>,
) -> Option<R> {
    let sheaf = pages.get_mut()?;
    let page = sheaf[place.page].get_mut()?;
    let row = page[place.row].take()?;
    if page.iter().all(Option::is_none) {
        sheaf[place.page] = Slot::Empty;
        if sheaf.iter().all(|page| page.get().is_none()) {
            *pages = Slot::Empty;
        }
    }
    Some(row)
}

impl<R, const ROWS: usize> Pages<R, ROWS> {
    /// Calls `each` with the row of each number, before and after, but for those that `is_same` says are the same. Pages
    /// that both share are not looked at.
    pub(super) fn compare(
        &self,
        after: &Pages<R, ROWS>,
        is_same: impl Fn(&R, &R) -> bool,
        mut each: impl FnMut(u64, Option<&R>, Option<&R>),
    ) {
        if self.is_shared_with(after) {
            return;
        }
        let (mut before, mut after) = (self.sheaves(0).peekable(), after.sheaves(0).peekable());
        loop {
            let sheaf = match (before.peek(), after.peek()) {
                (None, None) => return,
                (Some((number, _)), None) | (None, Some((number, _))) => *number,
                (Some((one, _)), Some((other, _))) => *one.min(other),
            };
            let old = before.next_if(|(there, _)| *there == sheaf);
            let new = after.next_if(|(there, _)| *there == sheaf);
            let old = old.map_or(&Slot::Empty, |(_, pages)| pages);
            let new = new.map_or(&Slot::Empty, |(_, pages)| pages);
            if old.is_shared_with(new) {
                continue;
            }
            let (old, new) = (old.get(), new.get());
            for page in 0..PAGES_IN_A_SHEAF {
                let old = old.map_or(&Slot::Empty, |sheaf| &sheaf[page]);
                let new = new.map_or(&Slot::Empty, |sheaf| &sheaf[page]);
                if old.is_shared_with(new) {
                    continue;
                }
                let (old, new) = (old.get(), new.get());
                for row in 0..ROWS {
                    let old = old.and_then(|page| page[row].as_ref());
                    let new = new.and_then(|page| page[row].as_ref());
                    let is_changed = match (old, new) {
                        (None, None) => false,
                        (Some(old), Some(new)) => !is_same(old, new),
                        _ => true,
                    };
                    if is_changed {
                        each(Place::<ROWS> { sheaf, page, row }.number(), old, new);
                    }
                }
            }
        }
    }
}

/// How often tests that ask for something went to the rows, on this thread.
#[cfg(test)]
mod touched {
    use std::cell::Cell;

    thread_local!(static TOUCHED: Cell<u64> = const { Cell::new(0) });

    pub(super) fn one() {
        TOUCHED.set(TOUCHED.get() + 1);
    }

    pub(super) fn by<T>(query: impl FnOnce() -> T) -> u64 {
        TOUCHED.set(0);
        query();
        TOUCHED.get()
    }
}

#[cfg(test)]
mod tests;
