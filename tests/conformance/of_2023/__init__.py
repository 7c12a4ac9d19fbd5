"""The form of answers of PostHog's 2023 engine, which the cases were recorded of; the product gives today's."""
