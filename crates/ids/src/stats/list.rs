//! Lists of rows as they come over a wire: never longer than who reads them has memory for. A row of zeros is short on its
//! way, and as large as any other where it is read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// How many rows of one kind there may be in what is read: no runtime has so many.
pub(super) const ROWS_MAX: usize = 400_000;
/// How many rows that have a level, which are larger: dataflows, or groups.
pub(super) const LEVELS_MAX: usize = 16_384;

/// Reads a list of at most so many rows.
pub(super) fn at_most<'de, const MAX: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Rows::<MAX, T>(PhantomData))
}

/// Reads a list of at most so many rows, if there is one.
pub(super) fn at_most_if_any<'de, const MAX: usize, D, T>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<List<MAX, T>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.0))
}

/// A list of at most so many rows.
struct List<const MAX: usize, T>(Vec<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Deserialize<'de> for List<MAX, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        at_most::<MAX, D, T>(deserializer).map(List)
    }
}

/// What reads a list.
struct Rows<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for Rows<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Vec<T>, A::Error> {
        let claimed = rows.size_hint().unwrap_or_default();
        if claimed > MAX {
            return Err(A::Error::invalid_length(claimed, &self));
        }
        let mut list = Vec::new();
        while let Some(row) = rows.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            list.push(row);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, SeqDeserializer};

    use super::*;

    fn read(rows: impl Iterator<Item = u32>) -> Result<Vec<u32>, Error> {
        at_most::<3, _, u32>(SeqDeserializer::<_, Error>::new(rows))
    }

    #[test]
    fn more_rows_than_there_may_be_are_refused_whether_the_list_says_so_before_or_not() {
        assert_eq!(read([1, 2, 3].into_iter()), Ok(vec![1, 2, 3]));
        let refused = "invalid length 4, expected at most 3 rows";
        let said = read([1, 2, 3, 4].into_iter());
        assert_eq!(said.unwrap_err().to_string(), refused);
        let unsaid = read((1..=4).filter(|_| true));
        assert_eq!(unsaid.unwrap_err().to_string(), refused);
    }
}
