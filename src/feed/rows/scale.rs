//! Maps a list that is higher than browsers allow onto an element of limited height.

/// Maps the scroll position of a long list to that of the element, and back. Lengths in CSS pixels.
///
/// Only what lies between the first and the last tenth is scaled, so that both ends are reached exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The list's largest scroll position.
    list: f64,
    /// The element's largest scroll position.
    element: f64,
}

impl Scale {
    /// A list with the largest position `list` on an element with the largest position `element`, which must not be
    /// larger.
    pub fn new(list: f64, element: f64) -> Self {
        let list = list.max(0.0);
        Self { list, element: element.clamp(0.0, list) }
    }

    /// Whether nothing is scaled.
    pub fn is_identity(self) -> bool {
        self.list <= self.element
    }

    fn end(self) -> f64 {
        self.element / 10.0
    }

    /// Pixels of the list per pixel of the element, between the ends.
    fn factor(self) -> f64 {
        let (list, element) = (self.list - 2.0 * self.end(), self.element - 2.0 * self.end());
        if element > 0.0 { list / element } else { 1.0 }
    }

    /// The list's position for this position of the element.
    pub fn to_list(self, element: f64) -> f64 {
        let (end, element) = (self.end(), element.clamp(0.0, self.element));
        if self.is_identity() || element <= end {
            element
        } else if element >= self.element - end {
            self.list - (self.element - element)
        } else {
            end + (element - end) * self.factor()
        }
    }

    /// The element's position for this position of the list.
    pub fn to_element(self, list: f64) -> f64 {
        let (end, list) = (self.end(), list.clamp(0.0, self.list));
        if self.is_identity() || list <= end {
            list
        } else if list >= self.list - end {
            self.element - (self.list - list)
        } else {
            end + (list - end) / self.factor()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scale_leaves_short_lists_alone() {
        let scale = Scale::new(5000.0, 5000.0);
        assert!(scale.is_identity());
        assert_eq!((scale.to_list(1234.5), scale.to_element(1234.5)), (1234.5, 1234.5));
        assert_eq!((scale.to_list(-5.0), scale.to_list(9999.0)), (0.0, 5000.0));
    }

    #[test]
    fn scale_is_exact_at_both_ends() {
        let scale = Scale::new(2e8, 1e7);
        for near in [0.0, 1.0, 20.0, 999_999.0] {
            assert_eq!((scale.to_list(near), scale.to_element(near)), (near, near));
            assert_eq!((scale.to_list(1e7 - near), scale.to_element(2e8 - near)), (2e8 - near, 1e7 - near));
        }
    }

    proptest! {
        #[test]
        fn scale_roundtrips(list in 0.0f64..1e10, limit in 1.0f64..2e7, at in 0.0f64..=1.0) {
            let scale = Scale::new(list, limit.min(list));
            let place = at * list;
            prop_assert!((scale.to_list(scale.to_element(place)) - place).abs() < 0.01);
            prop_assert!((0.0..=limit).contains(&scale.to_element(place)));
        }

        #[test]
        fn scale_is_monotonic(list in 1.0f64..1e10, limit in 1.0f64..2e7, a in 0.0f64..=1.0, b in 0.0f64..=1.0) {
            let scale = Scale::new(list, limit.min(list));
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(scale.to_element(low * list) <= scale.to_element(high * list) + 1e-6);
            prop_assert!(scale.to_list(low * limit) <= scale.to_list(high * limit) + 1e-6);
        }
    }
}
