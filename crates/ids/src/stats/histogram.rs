//! Histograms of spans of time whose buckets are powers of two: two of them are merged by adding.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many buckets a histogram has.
pub const HISTOGRAM_BUCKETS: usize = 48;

/// How often spans of time of each length were seen: bucket n counts those below 2ⁿ ns and not below 2ⁿ⁻¹ ns, the last
/// one all longer ones too. The counts only grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    /// How many there are of each length.
    pub buckets: [u64; HISTOGRAM_BUCKETS],
    /// All of them together.
    pub sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            buckets: [0; HISTOGRAM_BUCKETS],
            sum_ns: 0,
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("counts", &self.counts())
            .field("sum_ns", &self.sum_ns)
            .finish()
    }
}

impl Histogram {
    /// The bucket that counts a span of time: the number of its bits, but at most the last.
    #[must_use]
    #[inline]
    pub fn bucket_of(span_ns: u64) -> usize {
        ((u64::BITS - span_ns.leading_zeros()) as usize).min(HISTOGRAM_BUCKETS - 1)
    }

    /// Each number of it with that of another: `with` gives what the first becomes.
    pub fn zip(&mut self, other: &Histogram, mut with: impl FnMut(u64, u64) -> u64) {
        let Histogram { buckets, sum_ns } = self;
        for (one, other) in buckets.iter_mut().zip(&other.buckets) {
            *one = with(*one, *other);
        }
        *sum_ns = with(*sum_ns, other.sum_ns);
    }

    /// Each bucket that is not empty, with its count.
    fn counts(&self) -> Vec<(u8, u64)> {
        let counts = (0..).zip(self.buckets);
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Histogram", 2)?;
        fields.serialize_field("counts", &self.counts())?;
        fields.serialize_field("sum_ns", &self.sum_ns)?;
        fields.end()
    }
}

/// The buckets that are not empty, in the order of their numbers.
struct Counts([u64; HISTOGRAM_BUCKETS]);

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Counts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "pairs of a bucket below {HISTOGRAM_BUCKETS} and its count"
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Counts, A::Error> {
                let mut buckets = [0; HISTOGRAM_BUCKETS];
                while let Some((bucket, count)) = pairs.next_element::<(u8, u64)>()? {
                    match buckets.get_mut(usize::from(bucket)) {
                        Some(slot) if *slot == 0 => *slot = count,
                        _ => return Err(A::Error::custom(format!("bucket {bucket}"))),
                    }
                }
                Ok(Counts(buckets))
            }
        }

        deserializer.deserialize_seq(Each)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Histogram")]
        struct Fields {
            counts: Counts,
            sum_ns: u64,
        }
        let Fields { counts, sum_ns } = Fields::deserialize(deserializer)?;
        let Counts(buckets) = counts;
        Ok(Histogram { buckets, sum_ns })
    }
}
