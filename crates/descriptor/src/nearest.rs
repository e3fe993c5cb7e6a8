//! "Did you mean": the nearest of some words.

/// The word nearest to `wrong` among `words`, when one is near enough to be meant.
pub fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // A distance above a third of the word is another word.
    let distance_max = (wrong.chars().count() / 3).clamp(1, 3);
    words
        .into_iter()
        .filter(|word| word.len().abs_diff(wrong.len()) <= 4 * distance_max)
        .map(|word| (distance(&folded(wrong), &folded(word)), word))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `Queue-Size` and `queue_size` are the same word to a person.
fn folded(word: &str) -> Vec<char> {
    word.chars()
        .map(|character| match character {
            '-' => '_',
            _ => character.to_ascii_lowercase(),
        })
        .collect()
}

/// Edits that turn one word into the other: a character put in, left out, replaced, or swapped with its
/// neighbour (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, left_character) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right_character) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(left_character != right_character);
            let mut least = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0
                && column > 0
                && *left_character == right[column - 1]
                && left[row - 1] == *right_character
            {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_is_recognised_and_another_word_is_not() {
        let words = ["inputs", "outputs", "path", "queue_size"];
        assert_eq!(nearest("input", words), Some("inputs"));
        assert_eq!(nearest("pth", words), Some("path"));
        assert_eq!(nearest("ptah", words), Some("path"));
        assert_eq!(nearest("Queue-Size", words), Some("queue_size"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
    }
}
