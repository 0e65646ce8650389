//! Longest common subsequence of two lists, with a fixed choice where there are several.

/// The pairs of equal items, in order, and the steps it took; none when it would take more than `limit` steps.
///
/// Where two alignments are equally long, equal heads are paired at once, and otherwise the old list's item is left
/// out first. That is the choice of the table of all suffixes that Copilot's engine fills; here it is found in
/// O((n+m)d) time and O(d²) room for d unpaired items, by Myers' algorithm run from the ends of the lists.
/// `equal` need not be transitive.
pub(crate) fn align(
    old: usize,
    new: usize,
    limit: usize,
    equal: &mut dyn FnMut(usize, usize) -> bool,
) -> (Option<Vec<(usize, usize)>>, usize) {
    let mut pairs = Vec::new();
    let mut head = 0;
    while head < old && head < new && equal(head, head) {
        pairs.push((head, head));
        head += 1;
    }
    if head == old || head == new {
        return (Some(pairs), head);
    }
    let (table, steps) = Table::fill(old - head, new - head, limit, &mut |i, j| {
        equal(head + i, head + j)
    });
    let Some(table) = table else {
        return (None, steps);
    };
    let (mut i, mut j, mut left) = (0, 0, table.distance());
    while head + i < old && head + j < new {
        if equal(head + i, head + j) {
            pairs.push((head + i, head + j));
            i += 1;
            j += 1;
        } else {
            left -= 1;
            if table.reaches(left, i + 1, j) {
                i += 1
            } else {
                j += 1
            }
        }
    }
    (Some(pairs), steps)
}

/// Pairs only what is equal at both ends: what is left when a list is too large for [`align`].
pub(crate) fn align_ends(
    old: usize,
    new: usize,
    equal: &mut dyn FnMut(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let shorter = old.min(new);
    let head = (0..shorter)
        .take_while(|index| equal(*index, *index))
        .count();
    let tail = (1..=shorter - head)
        .take_while(|back| equal(old - back, new - back))
        .count();
    let tails = (1..=tail).rev().map(|back| (old - back, new - back));
    (0..head).map(|index| (index, index)).chain(tails).collect()
}

/// How far one gets from the ends of both lists towards their heads with d items left out, for every d up to the
/// smallest that gets all the way.
struct Table {
    old: usize,
    new: usize,
    /// `rows[d]`: for each diagonal -d, -d+2, …, d (items taken from the old list less items taken from the new one)
    /// the most items taken from the old list, or `NEVER`.
    rows: Vec<Vec<u32>>,
}

const NEVER: u32 = u32::MAX;

impl Table {
    fn fill(
        old: usize,
        new: usize,
        limit: usize,
        equal: &mut dyn FnMut(usize, usize) -> bool,
    ) -> (Option<Table>, usize) {
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut steps = 0;
        for d in 0..=old + new {
            steps += d + 1;
            if steps > limit {
                return (None, steps);
            }
            let mut row = Vec::with_capacity(d + 1);
            let mut done = false;
            for slot in 0..=d {
                // Taken from the old list: as much as the neighbour below plus one, or as the neighbour above.
                let start = match rows.last() {
                    None => Some(0),
                    Some(before) => {
                        let get =
                            |slot: usize| before.get(slot).copied().filter(|taken| *taken != NEVER);
                        let one_more = slot
                            .checked_sub(1)
                            .and_then(get)
                            .map(|taken| taken as usize + 1);
                        let same = get(slot).map(|taken| taken as usize);
                        let fits =
                            |taken: &usize| *taken <= old && from_new(*taken, d, slot) <= new;
                        one_more.filter(fits).max(same.filter(fits))
                    }
                };
                let Some(mut taken) = start else {
                    row.push(NEVER);
                    continue;
                };
                let mut other = from_new(taken, d, slot);
                while taken < old && other < new && equal(old - 1 - taken, new - 1 - other) {
                    taken += 1;
                    other += 1;
                    steps += 1;
                }
                done |= taken == old && other == new;
                row.push(u32::try_from(taken).expect("lists are far shorter than 4 G"));
            }
            rows.push(row);
            if done {
                return (Some(Table { old, new, rows }), steps);
            }
        }
        unreachable!("leaving out every item gets all the way")
    }

    fn distance(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether from items `i` and `j` on, at most `d` items need to be left out.
    fn reaches(&self, d: usize, i: usize, j: usize) -> bool {
        let (taken, other) = (self.old - i, self.new - j);
        let doubled = (d + taken).checked_sub(other);
        let Some(slot) = doubled
            .filter(|doubled| doubled % 2 == 0)
            .map(|doubled| doubled / 2)
        else {
            return false;
        };
        self.rows[d]
            .get(slot)
            .is_some_and(|most| *most != NEVER && *most as usize >= taken)
    }
}

/// Items taken from the new list, when `taken` are from the old one, in slot `slot` of row `d`.
fn from_new(taken: usize, d: usize, slot: usize) -> usize {
    // The diagonal is 2 * slot - d; a start on it never takes less than nothing from the new list.
    (taken + d).saturating_sub(2 * slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of all suffixes, as the choice is defined.
    fn by_table(old: &[u8], new: &[u8], equal: &dyn Fn(u8, u8) -> bool) -> Vec<(usize, usize)> {
        let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                longest[i][j] = if equal(old[i], new[j]) {
                    1 + longest[i + 1][j + 1]
                } else {
                    longest[i + 1][j].max(longest[i][j + 1])
                };
            }
        }
        let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
        while i < old.len() && j < new.len() {
            if equal(old[i], new[j]) {
                pairs.push((i, j));
                i += 1;
                j += 1;
            } else if longest[i + 1][j] < longest[i][j + 1] {
                j += 1;
            } else {
                i += 1;
            }
        }
        pairs
    }

    fn lists(seed: &mut u64, letters: u64) -> Vec<u8> {
        let mut next = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *seed >> 33
        };
        let length = next() % 14;
        (0..length)
            .map(|_| u8::try_from(next() % letters).expect("few letters"))
            .collect()
    }

    #[test]
    fn the_alignment_is_the_one_of_the_full_table() {
        let mut seed = 7;
        for round in 0..20_000 {
            let letters = 1 + round % 6;
            let (old, new) = (lists(&mut seed, letters), lists(&mut seed, letters));
            let (pairs, _) = align(old.len(), new.len(), usize::MAX, &mut |i, j| {
                old[i] == new[j]
            });
            assert_eq!(
                pairs,
                Some(by_table(&old, &new, &|a, b| a == b)),
                "{old:?} {new:?}"
            );
        }
    }

    #[test]
    fn equality_need_not_be_transitive() {
        let near = |a: u8, b: u8| a.abs_diff(b) <= 1;
        let mut seed = 11;
        for _ in 0..20_000 {
            let (old, new) = (lists(&mut seed, 7), lists(&mut seed, 7));
            let (pairs, _) = align(old.len(), new.len(), usize::MAX, &mut |i, j| {
                near(old[i], new[j])
            });
            assert_eq!(pairs, Some(by_table(&old, &new, &near)), "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_list_over_the_limit_is_not_aligned() {
        let (pairs, steps) = align(5_000, 5_000, 100_000, &mut |_, _| false);
        assert_eq!(pairs, None);
        assert!((100_000..101_000).contains(&steps));
    }

    #[test]
    fn ends_are_paired_without_overlap() {
        let same = |old: &'static [u8], new: &'static [u8]| {
            align_ends(old.len(), new.len(), &mut |i, j| old[i] == new[j])
        };
        assert_eq!(same(b"abcd", b"axyd"), [(0, 0), (3, 3)]);
        assert_eq!(same(b"aaa", b"aa"), [(0, 0), (1, 1)]);
        assert_eq!(same(b"baa", b"aa"), [(1, 0), (2, 1)]);
        assert_eq!(same(b"", b"aa"), []);
        assert_eq!(same(b"x", b"y"), []);
    }
}
