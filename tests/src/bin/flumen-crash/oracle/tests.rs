use super::*;

fn item(number: u64) -> Item {
    Item {
        producer: 0,
        number,
        hash: number * 31,
    }
}
