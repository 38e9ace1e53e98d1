"""Pages of the web as sources: single ones, and those that a sitemap lists."""
