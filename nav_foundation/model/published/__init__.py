"""ViNT and NoMaD as they were published, under the names of their files, so that their weights load strictly."""
