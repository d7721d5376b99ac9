"""How far an answer is from the truth, and what that means: errors in ulp, budgets, verdicts."""
