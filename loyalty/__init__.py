"""Points (积分) as an asset: the books, what earns them, what they are spent on, what they owe."""
