/// A first-in-first-out queue that moves its elements only when it runs empty or half of it is used up.
struct FIFO<Element> {
  private var elements: [Element?] = []
  private var head = 0

  var count: Int { elements.count - head }
  var isEmpty: Bool { head == elements.count }

  mutating func append(_ element: Element) { elements.append(element) }

  /// The element with `offset` elements before it; there must be so many.
  subscript(offset: Int) -> Element { elements[head + offset]! }

  mutating func removeFirst() -> Element {
    let element = elements[head]!
    elements[head] = nil
    head += 1
    if head == elements.count {
      elements.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 1024, head > elements.count / 2 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }
}
