//! Which trials of several objectives are the better ones: domination, Pareto front, non-dominated
//! ranks, crowding distances (Deb, Pratap, Agarwal and Meyarivan 2002, NSGA-II).

use std::cmp::Ordering;

use super::trial::Direction;

/// Whether `a` is better than `b` in one objective and worse in none. A value that is no number is
/// worse than any.
pub fn dominates(a: &[f64], b: &[f64], directions: &[Direction]) -> bool {
    let objectives = || directions.iter().zip(a.iter().zip(b));
    objectives().any(|(direction, (a, b))| direction.is_better(*a, *b))
        && !objectives().any(|(direction, (a, b))| direction.is_better(*b, *a))
}

/// Indices of the values, one row per trial, that no other dominates; in order. Equal rows are all
/// in it.
pub fn front(values: &[Vec<f64>], directions: &[Direction]) -> Vec<usize> {
    let order = lexicographic(values, directions);
    let mut front = peel(&order, values, directions).0;
    front.sort_unstable();
    front
}

/// The rank of each row: 0 on the front, 1 on the front of what is left without it, and so on.
pub fn ranks(values: &[Vec<f64>], directions: &[Direction]) -> Vec<usize> {
    let mut ranks = vec![0; values.len()];
    let mut left = lexicographic(values, directions);
    let mut rank = 0;
    while !left.is_empty() {
        let (front, rest) = peel(&left, values, directions);
        front.iter().for_each(|&ix| ranks[ix] = rank);
        left = rest;
        rank += 1;
    }
    ranks
}

/// The crowding distance of each row among these, which are of one rank: the sum over the objectives
/// of the distance between its two neighbours, in units of the objective's range; infinite at the
/// ends.
pub fn crowding(values: &[Vec<f64>]) -> Vec<f64> {
    let mut distances = vec![0.0; values.len()];
    for objective in 0..values.first().map_or(0, Vec::len) {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a][objective].total_cmp(&values[b][objective]));
        let at = |k: usize| values[order[k]][objective];
        let (first, last) = (at(0), at(order.len() - 1));
        if first == last {
            continue;
        }
        let range = if (last - first).is_finite() {
            last - first
        } else {
            1.0
        };
        for (k, &ix) in order.iter().enumerate() {
            distances[ix] += match k {
                0 => f64::INFINITY,
                _ if k + 1 == order.len() => f64::INFINITY,
                _ if at(k + 1) == at(k - 1) => 0.0,
                _ => (at(k + 1) - at(k - 1)) / range,
            };
        }
    }
    distances
}

/// Rows by their first objective, then by the second, ...: the better first, so that none dominates
/// one before it.
fn lexicographic(values: &[Vec<f64>], directions: &[Direction]) -> Vec<usize> {
    let compare = |a: &usize, b: &usize| {
        let objectives = directions.iter().zip(values[*a].iter().zip(&values[*b]));
        let mut orders = objectives.map(|(direction, (a, b))| {
            let worse = direction.is_better(*b, *a);
            direction.is_better(*a, *b).cmp(&worse).reverse()
        });
        orders
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(compare);
    order
}

/// The front of rows in lexicographic order, and what is left, in order.
fn peel(
    order: &[usize],
    values: &[Vec<f64>],
    directions: &[Direction],
) -> (Vec<usize>, Vec<usize>) {
    let (mut front, mut rest): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for &ix in order {
        let over = |&other: &usize| dominates(&values[other], &values[ix], directions);
        let is_dominated = front.iter().rev().any(over);
        if is_dominated { &mut rest } else { &mut front }.push(ix);
    }
    (front, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use Direction::{Maximize, Minimize};

    fn random(n: usize, objectives: usize) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(1, Purpose::Init, n as u32);
        let mut row = |_| {
            (0..objectives)
                .map(|_| f64::from(stream.below(12)))
                .collect()
        };
        (0..n).map(&mut row).collect()
    }

    #[test]
    fn ranks_are_those_of_the_definition() {
        for directions in [&[Minimize][..], &[Minimize, Maximize], &[Maximize; 3]] {
            let mut values = random(80, directions.len());
            values[7][0] = f64::NAN;
            values[9][0] = f64::INFINITY;
            let ranks = ranks(&values, directions);
            for (ix, row) in values.iter().enumerate() {
                let above = (0..80).filter(|&other| dominates(&values[other], row, directions));
                let expected = above.map(|other| ranks[other] + 1).max().unwrap_or(0);
                assert_eq!(ranks[ix], expected, "{row:?}");
            }
            let first: Vec<usize> = (0..80).filter(|&ix| ranks[ix] == 0).collect();
            assert_eq!(front(&values, directions), first);
        }
    }

    #[test]
    fn equal_rows_share_the_front() {
        let values = vec![vec![1.0, 2.0], vec![1.0, 2.0], vec![1.0, 3.0]];
        assert_eq!(front(&values, &[Minimize, Minimize]), [0, 1]);
        assert_eq!(front(&values, &[Minimize, Maximize]), [2]);
        assert!(front(&[], &[Minimize]).is_empty());
    }

    #[test]
    fn crowding_is_the_distance_of_the_neighbours() {
        let values = vec![
            vec![0.0, 10.0],
            vec![4.0, 0.0],
            vec![1.0, 6.0],
            vec![2.0, 5.0],
        ];
        let inf = f64::INFINITY;
        assert_eq!(crowding(&values), [inf, inf, 0.5 + 0.5, 0.75 + 0.6]);
        assert_eq!(crowding(&[vec![3.0], vec![3.0]]), [0.0, 0.0]);
        assert!(crowding(&[]).is_empty());
        let unbounded = crowding(&[vec![1.0], vec![inf], vec![inf], vec![inf], vec![0.0]]);
        assert!(unbounded.iter().all(|d| !d.is_nan()), "{unbounded:?}");
    }
}
