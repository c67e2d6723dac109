"""The forge: GitHub's API as far as the gh commands of a release need it, over the world's own git remote."""
