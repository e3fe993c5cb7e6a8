//! Rows by number in pages that copies share: a page is copied when it is changed while somebody else has it.
//!
//! A copy of the whole costs the same for any number of rows, and two copies are compared without a look at what they
//! share. A row with any number may be put in: the memory goes by the number of rows, and not by their numbers.

use std::sync::Arc;

/// A page has the rows whose numbers differ in the last bits only.
const ROWS_IN_A_PAGE: usize = 16;
/// A sheaf has the pages whose numbers differ in the last bits only.
const PAGES_IN_A_SHEAF: usize = 64;

type Page<R> = [Option<R>; ROWS_IN_A_PAGE];
type Sheaf<R> = [Option<Arc<Page<R>>>; PAGES_IN_A_SHEAF];

/// Where a row is.
#[derive(Clone, Copy)]
struct Place {
    sheaf: u64,
    page: usize,
    row: usize,
}

impl Place {
    fn of(number: u64) -> Place {
        let (page, row) = (
            number / ROWS_IN_A_PAGE as u64,
            number % ROWS_IN_A_PAGE as u64,
        );
        Place {
            sheaf: page / PAGES_IN_A_SHEAF as u64,
            page: (page % PAGES_IN_A_SHEAF as u64) as usize,
            row: row as usize,
        }
    }

    /// The number of a row.
    fn number(self) -> u64 {
        (self.sheaf * PAGES_IN_A_SHEAF as u64 + self.page as u64) * ROWS_IN_A_PAGE as u64
            + self.row as u64
    }
}

/// Rows in the order of their numbers. A clone shares all of them.
#[derive(Debug)]
pub(super) struct Pages<R> {
    /// The sheaves that are not empty, in the order of their numbers.
    sheaves: Arc<Vec<(u64, Arc<Sheaf<R>>)>>,
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

/// Where a sheaf is among all, or where it would be.
fn find<T>(sheaves: &[(u64, T)], number: u64) -> Result<usize, usize> {
    // Without gaps it is where it is expected.
    let expected = usize::try_from(number).unwrap_or(usize::MAX);
    match sheaves.get(expected) {
        Some((there, _)) if *there == number => Ok(expected),
        _ => sheaves.binary_search_by_key(&number, |(there, _)| *there),
    }
}

impl<R> Pages<R> {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Whether all rows are the same as those of another one: whether both share them.
    pub(super) fn is_shared_with(&self, other: &Pages<R>) -> bool {
        Arc::ptr_eq(&self.sheaves, &other.sheaves)
    }

    /// The row of this number.
    pub(super) fn get(&self, number: u64) -> Option<&R> {
        #[cfg(test)]
        touched::one();
        let place = Place::of(number);
        let (_, sheaf) = &self.sheaves[find(&self.sheaves, place.sheaf).ok()?];
        sheaf[place.page].as_ref()?[place.row].as_ref()
    }

    /// The rows, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &R)> {
        self.from(0)
    }

    /// The rows whose numbers are not below this one, in the order of their numbers.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &R)> {
        let first = find(&self.sheaves, Place::of(number).sheaf).unwrap_or_else(|place| place);
        self.sheaves[first..]
            .iter()
            .inspect(|_| {
                #[cfg(test)]
                touched::one();
            })
            .flat_map(move |(sheaf, pages)| {
                let pages = (0..).zip(pages.iter());
                pages.flat_map(move |(page, rows)| {
                    let rows = (0..).zip(rows.iter().flat_map(|rows| rows.iter()));
                    rows.filter_map(move |(row, there)| {
                        let place = Place {
                            sheaf: *sheaf,
                            page,
                            row,
                        };
                        Some((place.number(), there.as_ref()?))
                    })
                })
            })
            .skip_while(move |(there, _)| *there < number)
    }
}

impl<R: Clone> Pages<R> {
    /// The row of this number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut R> {
        let place = Place::of(number);
        let found = find(&self.sheaves, place.sheaf).ok()?;
        let (_, sheaf) = &mut Arc::make_mut(&mut self.sheaves)[found];
        let page = Arc::make_mut(sheaf)[place.page].as_mut()?;
        Arc::make_mut(page)[place.row].as_mut()
    }

    /// Puts a row there, in the place of the one that was there.
    pub(super) fn insert(&mut self, number: u64, row: R) {
        let place = Place::of(number);
        let sheaves = Arc::make_mut(&mut self.sheaves);
        let found = find(sheaves, place.sheaf).unwrap_or_else(|found| {
            sheaves.insert(
                found,
                (place.sheaf, Arc::new([const { None }; PAGES_IN_A_SHEAF])),
            );
            found
        });
        let page = Arc::make_mut(&mut sheaves[found].1)[place.page]
            .get_or_insert_with(|| Arc::new([const { None }; ROWS_IN_A_PAGE]));
        if Arc::make_mut(page)[place.row].replace(row).is_none() {
            self.rows += 1;
        }
    }

    /// Takes a row out. What is empty then goes too.
    pub(super) fn remove(&mut self, number: u64) -> Option<R> {
        self.get(number)?;
        let place = Place::of(number);
        let found = find(&self.sheaves, place.sheaf).ok()?;
        let sheaves = Arc::make_mut(&mut self.sheaves);
        let sheaf = Arc::make_mut(&mut sheaves[found].1);
        let page = Arc::make_mut(sheaf[place.page].as_mut()?);
        let row = page[place.row].take()?;
        self.rows -= 1;
        if page.iter().all(Option::is_none) {
            sheaf[place.page] = None;
            if sheaf.iter().all(Option::is_none) {
                sheaves.remove(found);
            }
        }
        Some(row)
    }
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
        let (mut before, mut after) = (
            self.sheaves.iter().peekable(),
            after.sheaves.iter().peekable(),
        );
        loop {
            let sheaf = match (before.peek(), after.peek()) {
                (None, None) => return,
                (Some((number, _)), None) | (None, Some((number, _))) => *number,
                (Some((one, _)), Some((other, _))) => *one.min(other),
            };
            let old = before
                .next_if(|(there, _)| *there == sheaf)
                .map(|(_, old)| old);
            let new = after
                .next_if(|(there, _)| *there == sheaf)
                .map(|(_, new)| new);
            if same(old, new) {
                continue;
            }
            for page in 0..PAGES_IN_A_SHEAF {
                let old = old.and_then(|sheaf| sheaf[page].as_ref());
                let new = new.and_then(|sheaf| sheaf[page].as_ref());
                if same(old, new) {
                    continue;
                }
                for row in 0..ROWS_IN_A_PAGE {
                    let old = old.and_then(|page| page[row].as_ref());
                    let new = new.and_then(|page| page[row].as_ref());
                    let is_changed = match (old, new) {
                        (None, None) => false,
                        (Some(old), Some(new)) => !is_same(old, new),
                        _ => true,
                    };
                    if is_changed {
                        each(Place { sheaf, page, row }.number(), old, new);
                    }
                }
            }
        }
    }
}

/// Whether both are the same thing in memory, or neither is there.
fn same<T>(old: Option<&Arc<T>>, new: Option<&Arc<T>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
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
mod tests {
    use dataflow_ids::stats::{Keeper, Level, NodeKey, RunNumber};
    use dataflow_ids::{DataflowName, NodeId, NodeIndex};

    use super::super::{Book, GROUPS_MAX};
    use super::touched;
    use crate::time::Time;

    /// A book with one run of so many nodes of one name.
    fn book_of(nodes: u32) -> (Book, RunNumber, NodeId) {
        let at = Time::default();
        let mut book = Book::new(Keeper(1), GROUPS_MAX);
        let peer = "here".parse().expect("a name");
        let flow = DataflowName::new("flow").expect("a name");
        let run = book.add_dataflow(at, peer, "a run".to_owned(), flow);
        let name = NodeId::new("worker").expect("a name");
        for node in (0..nodes).map(NodeIndex) {
            let key = NodeKey { run, node };
            book.add_node(at, key, &name).expect("its run is there");
        }
        (book, run, name)
    }

    #[test]
    fn a_query_goes_to_the_rows_as_often_among_many_nodes_as_among_few() {
        let touched = |nodes| {
            let (book, run, name) = book_of(nodes);
            let counted = |level: Option<&Level>| {
                let counted = level.expect("it is there").nodes.get();
                assert_eq!(counted, u64::from(nodes));
            };
            let all = [
                touched::by(|| counted(Some(book.total()))),
                touched::by(|| counted(book.dataflow(run))),
                touched::by(|| counted(book.group(Some(&name)))),
            ];
            // What goes over all of them is seen.
            let whole = touched::by(|| book.now.statistics());
            assert!(whole > u64::from(nodes) / 1024, "{whole}");
            all
        };
        let few = touched(10);
        assert_eq!(few, touched(100_000));
        assert_eq!(few, [0, 1, 1]);
    }
}
