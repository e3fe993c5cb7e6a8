//! Pages that are kept for a moment: however many ask, writing them takes a tenth of a processor at most.

use std::time::Duration;

use tokio::time::Instant;

/// How many times as long as it took to write it a page is kept.
const REST: u32 = 9;

/// What was written last, as long as it is to be kept.
#[derive(Debug)]
pub(super) struct Kept<P> {
    page: Option<(Instant, P)>,
}

impl<P> Default for Kept<P> {
    fn default() -> Kept<P> {
        Kept { page: None }
    }
}

impl<P: Clone> Kept<P> {
    /// The page, if it is still to be kept.
    pub(super) fn get(&self, now: Instant) -> Option<P> {
        let (until, page) = self.page.as_ref()?;
        (now < *until).then(|| page.clone())
    }

    /// Keeps a page that took so long to write.
    pub(super) fn put(&mut self, now: Instant, took: Duration, page: P) {
        self.page = Some((now + took * REST, page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_to_write_is_kept_for_long() {
        let now = Instant::now();
        let mut kept = Kept::default();
        assert_eq!(kept.get(now), None);
        kept.put(now, Duration::from_millis(10), "page");
        assert_eq!(kept.get(now), Some("page"));
        assert_eq!(kept.get(now + Duration::from_millis(89)), Some("page"));
        assert_eq!(kept.get(now + Duration::from_millis(90)), None);
    }
}
